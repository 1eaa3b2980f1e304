import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaissonClient } from '../../src/client/index.ts';
import { until } from '../until.ts';
import { testSettings } from './support/control-plane.ts';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from './support/control-plane-process.ts';

const mebibyte = 1024 ** 2;
const undo = new AsyncDisposableStack();
let environment: Record<string, string>;

beforeAll(async () => {
  const settings = await testSettings(undo);
  environment = { ...settings.environment, CAISSON_PORT: String(await freePort()) };
});
afterAll(() => undo.disposeAsync());

/** Disks are measured the more rarely the longer it takes, as it does on a machine that is busy. */
async function patiently<T>(what: string, look: () => Promise<T | false>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await until(what, look);
    } catch (thrown) {
      if (tries === 3) throw thrown;
    }
  }
}

async function newAgent(client: CaissonClient, name: string, diskBytes: number): Promise<string> {
  return (await client.agents.create.mutate({ name, limits: { diskBytes }, wait: true })).id;
}

async function fill(client: CaissonClient, agentId: string, file: string, mebibytes: number): Promise<unknown> {
  const command = ['dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', `count=${mebibytes}`];
  // Its sandbox may be stopped under it.
  return await client.processes.exec.mutate({ agentId, command }).catch((thrown: unknown) => thrown);
}

async function marks(client: CaissonClient, agentId: string): Promise<readonly string[]> {
  const { events } = await client.events.read.query({ agentId, after: 0, limit: 500 });
  return events.flatMap((event) => (event.type === 'quota.changed' ? [`${event.of} ${event.mark}`] : []));
}

const spent = { code: 'QUOTA_EXCEEDED', details: { dimension: 'disk', of: 'agent', limit: 64 * mebibyte } };

test('who writes far beyond its disk is stopped, alone, also across kill -9, and deletion brings it back', async () => {
  let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
  await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
  let { client } = controlPlane;
  const agentId = await newAgent(client, 'greedy', 64 * mebibyte);
  const other = await newAgent(client, 'modest', 64 * mebibyte);
  const { id: conversationId } = await client.conversations.open.mutate({ agentId });

  await fill(client, agentId, 'big', 200);
  const stopped = await patiently('it is stopped', async () => {
    const agent = await client.agents.get.query({ agentId });
    return agent.sandbox.state === 'stopped' && agent;
  });
  expect(stopped.sandbox).toMatchObject({ reason: expect.stringMatching(/MiB of the disk, and may take 64 MiB/) });
  expect(stopped.disk).toMatchObject({ state: 'over', limitBytes: 64 * mebibyte, method: 'walk on the host' });
  expect(stopped.disk.usedBytes).toBeGreaterThan(80 * mebibyte);
  expect(await marks(client, agentId)).toContain('agent spent');

  const refused = async (): Promise<void> => {
    const write = { agentId, path: 'more', content: 'x' };
    await expect(client.files.write.mutate(write)).rejects.toMatchObject(spent);
    await expect(client.processes.exec.mutate({ agentId, command: ['true'] })).rejects.toMatchObject(spent);
    await expect(client.terminals.open.mutate({ agentId, rows: 24, cols: 80 })).rejects.toMatchObject(spent);
    await expect(client.runs.start.mutate({ conversationId, message: 'echo hi' })).rejects.toMatchObject(spent);
    const upload = client.files.upload({ agentId, path: 'up', body: Buffer.from('x') });
    await expect(upload).rejects.toMatchObject(spent);
  };
  await refused();

  // The other agent of the same user notices nothing.
  expect((await client.agents.get.query({ agentId: other })).sandbox.state).toBe('running');
  await client.files.write.mutate({ agentId: other, path: 'mine', content: 'x' });
  expect(await client.processes.exec.mutate({ agentId: other, command: ['true'] })).toMatchObject({ exitCode: 0 });

  await controlPlane.kill();
  controlPlane = await spawnControlPlane(environment);
  ({ client } = controlPlane);
  expect((await client.agents.get.query({ agentId })).disk.state).toBe('over');
  await refused();

  expect((await client.files.list.query({ agentId, path: '' })).items.map(({ path }) => path)).toContain(
    '/workspace/big',
  );
  await client.files.remove.mutate({ agentId, path: 'big' });
  await client.files.write.mutate({ agentId, path: 'more', content: 'x' });
  expect(await client.processes.exec.mutate({ agentId, command: ['true'] })).toMatchObject({ exitCode: 0 });
  expect((await client.agents.get.query({ agentId })).disk.state).toBe('ok');
  expect(await marks(client, agentId)).toContain('agent freed');
}, 300_000);

test('within the grace a sandbox runs on, writes through the API are refused, and what runs in it can make room', async () => {
  await using controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
  const { client } = controlPlane;
  const agentId = await newAgent(client, 'careful', 64 * mebibyte);
  await fill(client, agentId, 'most', 66);
  await patiently('it is full', async () => (await client.agents.get.query({ agentId })).disk.state === 'full');
  await expect(client.files.write.mutate({ agentId, path: 'more', content: 'x' })).rejects.toMatchObject(spent);
  expect((await client.agents.get.query({ agentId })).sandbox.state).toBe('running');
  await client.processes.exec.mutate({ agentId, command: ['truncate', '-s', '40M', 'most'] });
  await client.files.write.mutate({ agentId, path: 'more', content: 'x' });
  const large = client.files.upload({ agentId, path: 'large', body: Buffer.alloc(40 * mebibyte) });
  await expect(large).rejects.toMatchObject({ ...spent, details: { ...spent.details, asked: 40 * mebibyte } });

  const holding = 'dd if=/dev/zero of=gone bs=1M count=20 2>/dev/null; exec 3<gone; rm gone; echo ready; sleep 300';
  const { id: processId } = await client.processes.start.mutate({ agentId, command: ['bash', '-c', holding] });
  // A file that has no name any more takes its room as long as somebody holds it.
  await patiently('what is held is seen', async () => {
    const { usedBytes } = (await client.agents.get.query({ agentId })).disk;
    return (usedBytes ?? 0) > 60 * mebibyte;
  });
  await client.processes.kill.mutate({ agentId, processId, signal: 'SIGKILL' });
  await patiently('it is free again', async () => {
    const { usedBytes } = (await client.agents.get.query({ agentId })).disk;
    return (usedBytes ?? 0) < 50 * mebibyte;
  });
}, 300_000);
