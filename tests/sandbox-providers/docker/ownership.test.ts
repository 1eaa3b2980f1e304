import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ContainerCreateOptions } from 'dockerode';
import { toCaissonError } from '../../../src/kernel/errors.ts';
import { measureVolumes } from '../../../src/sandbox-providers/docker/disk.ts';
import { Engine } from '../../../src/sandbox-providers/docker/engine.ts';
import { DockerProvider } from '../../../src/sandbox-providers/docker/provider.ts';
import { until } from '../../until.ts';
import { type DockerSubject, openDocker } from './docker-subject.ts';

describe('on an engine with other tenants, the Docker provider', () => {
  let subject: DockerSubject;
  let other: DockerProvider;
  let byPipes: DockerProvider;

  beforeAll(async () => {
    subject = await openDocker();
    other = new DockerProvider({ instance: `${subject.instance}-other` });
    byPipes = new DockerProvider({ instance: subject.instance, pipesOnly: true });
  }, 300_000);

  afterAll(async () => {
    for (const sandbox of await other.list()) await other.destroy(sandbox.agentId);
    await subject[Symbol.asyncDispose]();
  });

  test('neither sees nor touches the sandboxes of another installation', async () => {
    const spec = subject.newSpec();
    await other.ensureRunning(spec);
    const { provider } = subject;
    expect(await provider.find(spec.agentId)).toBeUndefined();
    expect((await provider.list()).map((sandbox) => sandbox.agentId)).not.toContain(spec.agentId);
    await provider.stop(spec.agentId);
    await provider.destroy(spec.agentId);
    await expect(provider.pause(spec.agentId)).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
    await expect(provider.ensureRunning(spec)).rejects.toMatchObject({
      code: 'SANDBOX_START_FAILED',
      message: expect.stringContaining(`${subject.instance}-other`),
    });
    expect(await other.find(spec.agentId)).toMatchObject({ state: 'running' });
  });

  test('finds a workspace whose container is gone, can use it again, and can remove it', async () => {
    const { provider, docker } = subject;
    const spec = subject.newSpec();
    await provider.ensureRunning(spec);
    await subject.run(spec.agentId, 'echo kept > note');
    await docker.getContainer(spec.agentId).remove({ force: true });
    const orphan = { agentId: spec.agentId, state: 'stopped', image: spec.image };
    expect(await provider.find(spec.agentId)).toMatchObject(orphan);
    expect((await provider.list()).find((sandbox) => sandbox.agentId === spec.agentId)).toMatchObject(orphan);
    await provider.ensureRunning(spec);
    expect(await subject.run(spec.agentId, 'cat note')).toBe('kept\n');
    await docker.getContainer(spec.agentId).remove({ force: true });
    await provider.destroy(spec.agentId);
    expect(await subject.remains(spec.agentId)).toEqual([]);
  });

  test('finds the volumes that the engine makes anew for a measurement that met the end of the sandbox', async () => {
    const { provider, docker } = subject;
    const spec = subject.newSpec();
    await provider.ensureRunning(spec);
    class LateEngine extends Engine {
      override async create(options: ContainerCreateOptions): Promise<void> {
        await provider.destroy(spec.agentId);
        await super.create(options);
      }
    }
    const engine = new LateEngine(docker, subject.instance, { quickMs: 10_000, slowMs: 60_000 });
    const betweenChanges = <T>(work: () => Promise<T>): Promise<T> => work(); // of a process of its own
    await measureVolumes(engine, { agentId: spec.agentId, isLocal: false, betweenChanges, signal: undefined });
    expect((await provider.list()).map(({ agentId }) => agentId)).toContain(spec.agentId);
    await provider.destroy(spec.agentId);
    expect(await subject.remains(spec.agentId)).toEqual([]);
  });

  test('leaves nothing of limits that the engine refuses, and says why', async () => {
    for (const limits of [
      { cpus: 1, memoryBytes: 1, pids: 10 },
      { cpus: 10_000, memoryBytes: 64 * 1024 ** 2, pids: 10 },
    ]) {
      const spec = subject.newSpec({ limits });
      await expect(subject.provider.ensureRunning(spec)).rejects.toMatchObject({
        code: 'SANDBOX_START_FAILED',
        details: { status: 400 },
      });
      expect(await subject.remains(spec.agentId)).toEqual([]);
    }
  });

  test('removes a sandbox while its disk is measured, before the measuring container is made and after', async () => {
    for (const isMade of [false, true]) {
      const { agentId } = await byPipes.ensureRunning(subject.newSpec());
      const measuring = byPipes.measureDisk(agentId).catch((thrown: unknown) => toCaissonError(thrown).code);
      if (isMade) await until('it is made', async () => (await subject.remains(agentId)).includes(`/${agentId}-disk`));
      await byPipes.destroy(agentId);
      const outcome = await measuring;
      if (!isMade) expect(outcome).toEqual({ method: 'nothing there', usedBytes: 0 });
      expect(await subject.remains(agentId)).toEqual([]);
    }
  });

  test('leaves no pipe of a caller that gives up while the guest does not listen', async () => {
    const { agentId } = await subject.provider.ensureRunning(subject.newSpec({ image: subject.images.silent }));
    const idle = 2; // Docker's init, and `sleep`
    await until('it is up', async () => (await subject.processIds(agentId)).length === idle);
    const abort = new AbortController();
    const connecting = byPipes.connect(agentId, 'inward', abort.signal);
    connecting.catch(() => undefined); // awaited below
    await until('the pipe waits', async () => (await subject.processIds(agentId)).length > idle);
    const reason = new Error('given up');
    abort.abort(reason);
    await expect(connecting).rejects.toBe(reason);
    await until('the pipe is gone', async () => (await subject.processIds(agentId)).length === idle);
  });

  test('says what is wrong when the image has no program for the pipe', async () => {
    const { agentId } = await subject.provider.ensureRunning(subject.newSpec({ image: subject.images.withoutPipe }));
    await expect(byPipes.connect(agentId, 'inward')).rejects.toMatchObject({
      code: 'WIRE_LOST',
      details: { said: expect.stringContaining('socat') },
    });
  });
});
