import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Agent,
  type CaissonClient,
  createCaissonClient,
  type ProcessLogPart,
  type RemoteProcess,
} from '../../src/client/index.ts';
import { caisson } from '../cli/command.ts';
import { until } from '../until.ts';
import { testSettings } from './support/control-plane.ts';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from './support/control-plane-process.ts';

const undo = new AsyncDisposableStack();
let environment: Record<string, string>;
let provider: Awaited<ReturnType<typeof testSettings>>['provider'];
let controlPlane: ControlPlaneProcess;
let client: CaissonClient;
let agent: Agent;

beforeAll(async () => {
  const settings = await testSettings(undo);
  ({ provider } = settings);
  environment = { ...settings.environment, CAISSON_PORT: String(await freePort()) };
  controlPlane = await spawnControlPlane(environment);
  undo.defer(async () => void (await controlPlane.stop()));
  ({ client } = controlPlane);
  agent = await client.agents.create.mutate({ name: 'worker', wait: true });
});
afterAll(() => undo.disposeAsync());

const exec = (command: string[], options = {}) =>
  client.processes.exec.mutate({ agentId: agent.id, command, ...options });

const bytesIn = async (stream: ReadableStream<Uint8Array>): Promise<number> => {
  let bytes = 0;
  for await (const chunk of stream) bytes += chunk.length;
  return bytes;
};

async function residentBytes(pid: number): Promise<number> {
  const [, kibibytes = '0'] = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

test('a command runs as the agent, in the workspace, in the environment of a login', async () => {
  const { stdout, exitCode } = await exec(['sh', '-c', 'id -un; pwd; env']);
  expect(exitCode).toBe(0);
  const [user, folder, ...lines] = stdout.trim().split('\n');
  expect([user, folder]).toEqual(['agent', '/workspace']);
  expect(lines).toEqual(
    expect.arrayContaining(['HOME=/home/agent', 'USER=agent', 'SHELL=/bin/bash', 'LANG=C.UTF-8', 'TERM=dumb']),
  );
  expect(lines.find((line) => line.startsWith('PATH='))).toContain('/usr/local/bin');
  // But for what points Node at the way out, nothing of the guest's.
  const own = lines.filter((line) => /^(CAISSON_|NODE_(?!USE_ENV_PROXY=|EXTRA_CA_CERTS=))/.test(line));
  expect(own).toEqual([expect.stringMatching(/^CAISSON_PROCESS_ID=prc-/)]); // by which what it starts is found
});

test('the tree shows the harness, the guest, and what was started', async () => {
  const { id } = await client.processes.start.mutate({ agentId: agent.id, command: ['sleep', '600'] });
  const { tree, limits } = await until('the harness runs', async () => {
    const list = await client.processes.list.query({ agentId: agent.id });
    return list.tree.some(({ owner }) => owner?.kind === 'harness') ? list : undefined;
  });
  expect(tree.find(({ command }) => command === 'sleep 600')).toMatchObject({
    owner: { kind: 'process', id },
    user: 'agent',
  });
  expect(tree.find(({ pid }) => pid === 1)).toMatchObject({ ppid: 0, owner: { kind: 'guest' } });
  expect(tree.find(({ command }) => command.includes('guest.cjs'))).toMatchObject({ owner: { kind: 'guest' } });
  expect(tree.find(({ command }) => command.includes('codex-acp'))).toMatchObject({ owner: { kind: 'harness' } });
  expect(limits.pids).toMatchObject({ most: 512 });
  expect(limits.memoryBytes).toMatchObject({ most: 2 * 1024 ** 3 });
  expect(await client.processes.kill.mutate({ agentId: agent.id, processId: id })).toEqual({ found: 1, left: [] });
});

describe('a gigabyte of output', () => {
  test('passes through a stream whole, and the control plane does not grow with it', async () => {
    const zeros = async (size: string): Promise<RemoteProcess> =>
      await client.processes.spawn({ agentId: agent.id, command: ['head', '-c', size, '/dev/zero'] });
    await using first = await zeros('128M'); // what any stream takes: garbage that has not been collected
    expect(await bytesIn(first.stdout)).toBe(128 * 1024 ** 2);
    const before = await residentBytes(controlPlane.pid);
    let most = 0;
    await using child = await zeros('1G');
    const watching = setInterval(
      () => void residentBytes(controlPlane.pid).then((now) => (most = Math.max(most, now))),
      100,
    );
    expect(await bytesIn(child.stdout)).toBe(1024 ** 3);
    clearInterval(watching);
    expect(await child.exit).toMatchObject({ exitCode: 0 });
    expect((most - before) / 1e6).toBeLessThan(128);
  }, 180_000);

  test('with nobody listening is dropped but for its end, counted, and holds no other stream up', async () => {
    const { id } = await client.processes.start.mutate({
      agentId: agent.id,
      command: ['sh', '-c', 'head -c 1G /dev/zero; printf end'],
    });
    for (let i = 0; i < 20; i++) expect((await exec(['echo', 'still here'])).stdout).toBe('still here\n');
    const ended = await client.processes.wait.query({ agentId: agent.id, processId: id, timeoutMs: 120_000 });
    expect(ended).toMatchObject({ state: 'exited', exitCode: 0 });
    const parts: ProcessLogPart[] = [];
    for await (const part of client.processes.logs({ agentId: agent.id, processId: id, follow: true }))
      parts.push(part);
    const [lost] = parts;
    expect(lost).toEqual({ type: 'lost', offset: 0, bytes: 1024 ** 3 + 3 - 1024 ** 2 });
    expect(parts.at(-1)).toMatchObject({ type: 'end', offset: 1024 ** 3 + 3 });
  }, 180_000);
});

test('a client that goes in mid-stream takes its process along, and nobody else’s', async () => {
  const other = await client.processes.spawn({ agentId: agent.id, command: ['sh', '-c', 'read line; echo "$line"'] });
  const child = await client.processes.spawn({ agentId: agent.id, command: ['sh', '-c', 'yes & yes'] });
  const reader = child.stdout.getReader();
  await reader.read();
  child.close();
  await until('it is gone', async () => {
    const { processes, tree } = await client.processes.list.query({ agentId: agent.id });
    return processes.every(({ id }) => id !== child.process.id) && tree.every(({ command }) => command !== 'yes');
  });
  const writer = other.stdin.getWriter();
  await writer.write(new TextEncoder().encode('hello\n'));
  expect(await new Response(other.stdout).text()).toBe('hello\n');
  expect(await other.exit).toMatchObject({ exitCode: 0 });
});

test('what has made a session of its own and lost its parent is killed with the process that started it', async () => {
  const { id: processId } = await client.processes.start.mutate({
    agentId: agent.id,
    command: ['sh', '-c', '(setsid sh -c "sleep 611; true" </dev/null >/dev/null 2>&1 &); sleep 600'],
  });
  const commands = async (): Promise<string[]> =>
    (await client.processes.list.query({ agentId: agent.id })).tree
      .filter(({ command, ppid }) => command === 'sleep 611' || (command.includes('sleep 611') && ppid === 1))
      .map(({ command }) => command);
  await until('it is an orphan', async () => (await commands()).length === 2);
  const killed = await client.processes.kill.mutate({ agentId: agent.id, processId });
  expect(killed).toEqual({ found: 4, left: [] });
  expect(await commands()).toEqual([]);
});

test('a fork bomb fills the sandbox, and nothing else: the guest answers, and it is killed', async () => {
  const { id: agentId } = await client.agents.create.mutate({
    name: 'bomb',
    wait: true,
    limits: { pids: 80 },
  });
  const before = await client.processes.list.query({ agentId });
  const { id } = await client.processes.start.mutate({
    agentId,
    command: ['bash', '-c', 'bomb() { bomb | bomb & }; bomb; sleep 600'],
  });
  const full = await until('the sandbox is full', async () => {
    const { limits } = await client.processes.list.query({ agentId });
    return limits.pids.used >= 78 ? limits : undefined;
  });
  expect(full.pids.most).toBe(80);
  const refused = await until('nothing more can be started', () =>
    client.processes.exec.mutate({ agentId, command: ['true'] }).then(
      () => undefined,
      (error: { code: string; details: object }) => error,
    ),
  );
  expect(refused).toMatchObject({ code: 'PROCESS_NOT_STARTED', details: { reason: 'EAGAIN' } });
  const search = await until('no search can be started either', () => {
    const items = client.files.search({ agentId, query: 'x', by: 'name' })[Symbol.asyncIterator]();
    return items.next().then(
      () => undefined,
      (error: { code: string }) => error,
    );
  });
  expect(search).toMatchObject({ code: 'LIMIT_REACHED' });
  const archive = await until('no archive can be made either', () =>
    client.files.downloadArchive({ agentId, path: '' }).then(
      () => undefined,
      (error: { code: string }) => error,
    ),
  );
  expect(archive).toMatchObject({ code: 'LIMIT_REACHED' });
  expect((await exec(['true'])).exitCode).toBe(0); // in the other agent's sandbox
  const killed = await client.processes.kill.mutate({ agentId, processId: id, graceMs: 0, signal: 'SIGKILL' });
  expect(killed.left).toEqual([]);
  expect(killed.found).toBeGreaterThan(2);
  const after = await until('there is room again', async () => {
    const list = await client.processes.list.query({ agentId });
    return list.limits.pids.used < 60 ? list : undefined;
  });
  expect(after.incarnation).toBe(before.incarnation);
  expect(after.tree.filter(({ command }) => command.includes('bomb'))).toEqual([]);
  expect((await client.processes.exec.mutate({ agentId, command: ['true'] })).exitCode).toBe(0);
  await client.agents.delete.mutate({ agentId });
}, 180_000);

test('the control plane dies: processes go on, and their logs are read on by offset', async () => {
  const { id } = await client.processes.start.mutate({
    agentId: agent.id,
    command: ['sh', '-c', 'echo before; read line; echo after; echo last >&2'],
    keepInput: true,
  });
  const log = client.processes.logs({ agentId: agent.id, processId: id, follow: true })[Symbol.asyncIterator]();
  expect((await log.next()).value).toMatchObject({ type: 'output', offset: 0 });
  await controlPlane.kill();
  controlPlane = await spawnControlPlane(environment);
  ({ client } = controlPlane);
  const write = { agentId: agent.id, processId: id, input: { data: 'go\n' }, end: true };
  expect(await client.processes.write.mutate(write)).toMatchObject({ waitingBytes: expect.any(Number) });
  const rest: unknown[] = [];
  for (let next = await log.next(); next.done !== true; next = await log.next()) rest.push(next.value);
  expect(rest.at(-1)).toMatchObject({ type: 'end', offset: 18, process: { exitCode: 0 } });
  expect(rest[0]).toMatchObject({ type: 'output', stream: 'stdout', offset: 7 });
});

test('the sandbox is started anew: the process is not found, and the answer says in which start', async () => {
  const { id } = await client.processes.start.mutate({ agentId: agent.id, command: ['sleep', '600'] });
  const before = (await client.processes.list.query({ agentId: agent.id })).incarnation;
  await provider.stop(agent.id);
  await until('it runs again', async () =>
    exec(['true']).then(
      () => true,
      () => false,
    ),
  );
  const { incarnation } = await client.processes.list.query({ agentId: agent.id });
  expect(incarnation).not.toBe(before);
  await expect(client.processes.get.query({ agentId: agent.id, processId: id })).rejects.toMatchObject({
    code: 'PROCESS_NOT_FOUND',
    details: { processId: id, incarnation },
  });
});

test('the command line does the same', async () => {
  const { apiKey } = controlPlane;
  const named = { CAISSON_URL: controlPlane.url, CAISSON_API_KEY: apiKey };
  const piped = await caisson(['exec', 'worker', '--', 'sh', '-c', 'cat; exit 3'], named, 'through the pipe\n');
  expect(piped).toEqual({ exitCode: 3, stdout: 'through the pipe\n', stderr: '' });
  const { stdout } = await caisson(['ps', 'worker'], named);
  expect(stdout).toContain('guest.cjs');
  const stranger = createCaissonClient({ url: controlPlane.url, apiKey });
  const made = await stranger.keys.create.mutate({ name: 'test', user: 'bob', role: 'member' });
  const refused = await caisson(['exec', agent.id, '--', 'true'], { ...named, CAISSON_API_KEY: made.secret });
  expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining('There is no agent') });
});
