import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../until.ts';
import { openDocker, type DockerSubject } from './docker-subject.ts';
import { execIn } from './exec-in.ts';

describe('of a sandbox that does not run any more, the Docker provider tells', () => {
  let subject: DockerSubject;

  beforeAll(async () => {
    subject = await openDocker();
  }, 300_000);

  afterAll(async () => {
    await subject[Symbol.asyncDispose]();
  });

  test('the exit code', async () => {
    const { provider, docker } = subject;
    const { agentId, ended } = await provider.ensureRunning(subject.newSpec());
    expect(ended).toBeNull();
    await docker.getContainer(agentId).kill();
    const found = await until('it is over', async () => (await provider.find(agentId))?.ended);
    expect(found).toEqual({ exitCode: 137, outOfMemory: false });
    expect(await provider.ensureRunning(subject.newSpec({ agentId }))).toMatchObject({ ended: null });
  });

  test('whether the machine killed something in it for want of memory', async () => {
    const { provider, docker } = subject;
    const { agentId } = await provider.ensureRunning(subject.newSpec());
    // The kernel ends the largest process, and this one is larger than the guest.
    expect(await execIn(docker, agentId, ['tail', '/dev/zero'])).toMatchObject({ code: 137 });
    await docker.getContainer(agentId).kill();
    const found = await until('it is over', async () => (await provider.find(agentId))?.ended);
    expect(found).toEqual({ exitCode: 137, outOfMemory: true });
  });
});
