import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Agent } from '../../../src/agents/agent.ts';
import { type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { Fleet } from '../../../src/controlplane/fleet/fleet.ts';
import { newCheckpointId, newProcessId, newTerminalId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from './running-workspace.ts';

let workspace: RunningWorkspace;
let agentId: string;
let admin: CaissonClient;
/** Of a key of alice that is revoked in the middle of what it does. */
let client: CaissonClient;
let revoke: () => Promise<unknown>;

beforeAll(async () => {
  workspace = await startWorkspace();
  agentId = workspace.agent.id;
  admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
});
afterAll(() => workspace[Symbol.asyncDispose]());
beforeEach(async () => {
  const { secret, key } = await admin.keys.create.mutate({ name: 'short-lived', user: 'alice', role: 'member' });
  client = createCaissonClient({ url: workspace.url, apiKey: secret });
  revoke = () => admin.keys.revoke.mutate({ keyId: key.id });
});

const isRunning = async (marker: string): Promise<boolean> => {
  const { tree } = await workspace.client.processes.list.query({ agentId });
  return tree.some(({ command }) => command.includes(marker));
};

test('ends what it runs, with the process', async () => {
  const exec = client.processes.exec.mutate({ agentId, command: ['sleep', '86401'] });
  exec.catch(() => undefined); // looked at below
  await until('it runs', () => isRunning('86401'));
  await revoke();
  await expect(exec).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await until('the process is gone', async () => !(await isRunning('86401')));
});

test('ends its waits, and not the process', async () => {
  const { id: processId } = await client.processes.start.mutate({ agentId, command: ['sleep', '86402'] });
  const wait = client.processes.wait.query({ agentId, processId, timeoutMs: 600_000 });
  wait.catch(() => undefined); // looked at below
  // Answered later than the wait was asked for, on the same wire.
  await client.processes.get.query({ agentId, processId });
  await revoke();
  await expect(wait).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  expect(await isRunning('86402')).toBe(true);
  await workspace.client.processes.kill.mutate({ agentId, processId, signal: 'SIGKILL' });
});

test('ends its watches', async () => {
  await mkdir(join(workspace.roots[0], 'watched'));
  const items = client.files.watch({ agentId, path: 'watched' })[Symbol.asyncIterator]();
  await expect(items.next()).resolves.toMatchObject({ value: { type: 'ready' } });
  const next = items.next();
  next.catch(() => undefined); // looked at below
  await revoke();
  await expect(next).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});

test('ends its readers of logs', async () => {
  const command = ['bash', '-c', 'echo begun; exec sleep 86403'];
  const { id: processId } = await client.processes.start.mutate({ agentId, command });
  const items = client.processes.logs({ agentId, processId, follow: true })[Symbol.asyncIterator]();
  await items.next();
  const next = items.next();
  next.catch(() => undefined); // looked at below
  await revoke();
  await expect(next).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await workspace.client.processes.kill.mutate({ agentId, processId, signal: 'SIGKILL' });
});

test('ends its uploads: what it began to write is not there', async () => {
  await writeFile(join(workspace.roots[0], 'kept'), 'old');
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)), // and no more, nor an end
  });
  const upload = client.files.upload({ agentId, path: 'kept', body });
  upload.catch(() => undefined); // looked at below
  const hasPart = async () => (await readdir(workspace.roots[0])).some((name) => name.endsWith('.part'));
  await until('the upload begins', hasPart);
  await revoke();
  await expect(upload).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await until('its traces are gone', async () => !(await hasPart()));
  expect((await workspace.client.files.read.query({ agentId, path: 'kept' })).content).toBe('old');
});

describe('while its sandbox starts, has nothing done there: ', () => {
  /** What an act comes to whose key is revoked after it asked for the sandbox, and before it has it. */
  async function outcome(act: () => Promise<unknown>): Promise<string> {
    const [asked, started] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const wait = async (): Promise<void> => {
      asked.resolve();
      await started.promise;
    };
    const spies = [
      vi.spyOn(Fleet.prototype, 'ensureClient').mockImplementation(async function (this: Fleet, agent: Agent) {
        await wait();
        return await this.ensureClient(agent); // the real one by now
      }),
      vi.spyOn(Fleet.prototype, 'findClient').mockImplementation(async function (this: Fleet, agent: Agent) {
        await wait();
        return await this.findClient(agent);
      }),
    ];
    const acting = act().then(
      () => 'done',
      ({ code }: { code: string }) => code,
    );
    await Promise.race([asked.promise, acting]);
    for (const spy of spies) spy.mockRestore();
    await revoke();
    started.resolve();
    return await acting;
  }
  const [processId, terminalId, checkpointId] = [newProcessId(), newTerminalId(), newCheckpointId()];

  test.each([
    ['processes.exec', () => client.processes.exec.mutate({ agentId, command: ['true'] })],
    ['processes.start', () => client.processes.start.mutate({ agentId, command: ['true'] })],
    ['processes.write', () => client.processes.write.mutate({ agentId, processId, end: true })],
    ['processes.signal', () => client.processes.signal.mutate({ agentId, processId, signal: 'SIGTERM' })],
    ['processes.kill', () => client.processes.kill.mutate({ agentId, processId })],
    ['terminals.open', () => client.terminals.open.mutate({ agentId, command: ['true'] })],
    ['terminals.resize', () => client.terminals.resize.mutate({ agentId, terminalId, cols: 80, rows: 24 })],
    ['terminals.close', () => client.terminals.close.mutate({ agentId, terminalId })],
    ['changes.restore', () => client.changes.restore.mutate({ agentId, checkpointId })],
    ['files.write', () => client.files.write.mutate({ agentId, path: 'written', content: '' })],
    ['files.mkdir', () => client.files.mkdir.mutate({ agentId, path: 'made' })],
    ['files.move', () => client.files.move.mutate({ agentId, from: 'kept', to: 'moved' })],
    ['files.copy', () => client.files.copy.mutate({ agentId, from: 'kept', to: 'copied' })],
    ['files.remove', () => client.files.remove.mutate({ agentId, path: 'kept' })],
  ])('%s', async (_name, act) => {
    // The guest would say that there is no such process, terminal, checkpoint or file, or do it.
    expect(await outcome(act)).toBe('UNAUTHORIZED');
  });
});
