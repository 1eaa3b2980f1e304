import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket as RawSocket } from 'ws';
import {
  createCaissonClient,
  type ProcessLogPart,
  type ProcessLogsOptions,
  type RemoteProcess,
} from '../../../src/client/index.ts';
import { agentIdSchema, newAgentId, newProcessId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { isAlive } from '../../guest/processes/outputs.ts';
import { type RunningWorkspace, startWorkspace } from './running-workspace.ts';

let workspace: RunningWorkspace;
beforeAll(async () => {
  workspace = await startWorkspace();
});
afterAll(() => workspace[Symbol.asyncDispose]());

const agentId = () => workspace.agent.id;
const processes = () => workspace.client.processes;
const spawn = (command: readonly string[], options = {}) =>
  processes().spawn({ agentId: agentId(), command, ...options });
const start = (command: string[], options = {}) =>
  processes().start.mutate({ agentId: agentId(), command, ...options });

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.from(await new Response(stream).arrayBuffer());
}

async function outcome(process: RemoteProcess) {
  const [stdout, stderr, end] = await Promise.all([bytesOf(process.stdout), bytesOf(process.stderr), process.exit]);
  return { stdout, stderr, end };
}

async function partsOf(options: Omit<ProcessLogsOptions, 'agentId'>): Promise<ProcessLogPart[]> {
  const parts: ProcessLogPart[] = [];
  for await (const part of processes().logs({ agentId: agentId(), ...options })) parts.push(part);
  return parts;
}

const textOf = (parts: readonly ProcessLogPart[], stream: 'stdout' | 'stderr'): string =>
  Buffer.concat(
    parts.flatMap((part) => (part.type === 'output' && part.stream === stream ? [part.data] : [])),
  ).toString();

describe('exec', () => {
  const exec = (command: string[], options = {}) =>
    processes().exec.mutate({ agentId: agentId(), command, ...options });

  test('a caller who leaves is no defect of ours', async () => {
    const leave = new AbortController();
    const left = processes().exec.mutate(
      { agentId: agentId(), command: ['sh', '-c', 'touch begun; exec sleep 60'] },
      { signal: leave.signal },
    );
    left.catch(() => undefined); // it is abandoned on purpose
    await until('its begin', () => existsSync(join(workspace.roots[0], 'begun')));
    leave.abort();
    const ended = () => workspace.log.find(({ fields }) => fields['path'] === 'processes.exec');
    await until('its end', () => ended() !== undefined);
    expect(ended()).toMatchObject({ level: 'debug' });
  });

  test('answers how it ended and what it said, both outputs apart', async () => {
    const result = await exec(['sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(result).toEqual({
      exitCode: 7,
      signal: null,
      timedOut: false,
      durationMs: expect.any(Number),
      stdout: 'out\n',
      stderr: 'err\n',
      cut: { stdout: 0, stderr: 0 },
    });
  });

  test('input is read to its end, as text and as bytes', async () => {
    expect((await exec(['cat'], { input: { data: 'grüß' } })).stdout).toBe('grüß');
    const data = Buffer.from([0, 255, 128, 10]).toString('base64');
    const echoed = await exec(['cat'], { input: { data, encoding: 'base64' }, encoding: 'base64' });
    expect(echoed.stdout).toBe(data);
    await expect(exec(['cat'], { input: { data: 'no base64!', encoding: 'base64' } })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
  });

  test('a long output is cut to its end, and how much is gone is said exactly', async () => {
    const { stdout, cut } = await exec(['sh', '-c', 'head -c 3000000 /dev/zero; printf end'], { maxOutputBytes: 1000 });
    expect(stdout).toHaveLength(1000);
    expect(stdout.endsWith('\0end')).toBe(true);
    expect(cut).toEqual({ stdout: 3_000_003 - 1000, stderr: 0 });
  });

  test('a gigabyte in a burst neither fails nor is held', async () => {
    const result = await exec(['head', '-c', '1G', '/dev/zero'], { maxOutputBytes: 16, timeoutMs: 120_000 });
    expect(result).toMatchObject({ exitCode: 0, timedOut: false, cut: { stdout: 1024 ** 3 - 16 } });
  });

  test('a process whose time is up says so, with what it had said', async () => {
    const result = await exec(['sh', '-c', 'echo begun; exec sleep 60'], { timeoutMs: 300 });
    expect(result).toMatchObject({ exitCode: null, signal: 'SIGTERM', timedOut: true, stdout: 'begun\n' });
  });

  test('a caller who leaves takes the process along', async () => {
    const leave = new AbortController();
    const pidFile = join(workspace.roots[0], 'left.pid');
    const command = ['sh', '-c', 'echo $$ > left.pid; exec sleep 60'];
    const call = processes().exec.mutate({ agentId: agentId(), command }, { signal: leave.signal });
    const pid = await until(
      'it runs',
      async () => Number(await readFile(pidFile, 'utf8').catch(() => '')) || undefined,
    );
    leave.abort();
    await expect(call).rejects.toMatchObject({ code: 'ABORTED' });
    await until('it is dead', () => !isAlive(pid));
  });

  test('what cannot be run says why', async () => {
    await expect(exec(['no-such-program'])).rejects.toMatchObject({
      code: 'PROCESS_NOT_STARTED',
      details: { reason: 'ENOENT', program: 'no-such-program' },
    });
    await expect(exec(['true'], { cwd: '/etc' })).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
    await expect(exec(['a\0b'])).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('the environment is that of a login, without anything of the guest', async () => {
    process.env['CAISSON_AGENT_ID'] = 'agt-of-the-guest';
    const { stdout } = await exec(['env'], { env: { GREETING: 'hello world' } });
    delete process.env['CAISSON_AGENT_ID'];
    const names = new Map(stdout.split('\n').map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]));
    expect(names.get('GREETING')).toBe('hello world');
    for (const name of ['HOME', 'PATH', 'LANG', 'TERM', 'USER', 'SHELL']) expect(names.has(name), name).toBe(true);
    const own = [...names.keys()].filter((name) => /^(CAISSON|NODE_OPTIONS|NODE_CHANNEL)/.test(name ?? ''));
    expect(own).toEqual(['CAISSON_PROCESS_ID']); // by which what it starts is found
  });
});

describe('background', () => {
  test('its output is kept with nobody listening, in order, and resumes by offset', async () => {
    const { id } = await start(['sh', '-c', 'echo one; echo two >&2; echo three']);
    const ended = await processes().wait.query({ agentId: agentId(), processId: id });
    expect(ended).toMatchObject({ state: 'exited', exitCode: 0, kind: 'background' });
    const parts = await partsOf({ processId: id });
    expect([textOf(parts, 'stdout'), textOf(parts, 'stderr')]).toEqual(['one\nthree\n', 'two\n']);
    expect(parts.at(-1)).toMatchObject({ type: 'end', offset: 14, process: { id, state: 'exited' } });
    const rest = await partsOf({ processId: id, after: 6 });
    expect(rest[0]).toMatchObject({ offset: 6 });
    expect(rest.reduce((sum, part) => sum + (part.type === 'output' ? part.data.length : 0), 0)).toBe(8);
    await expect(partsOf({ processId: id, after: 15 })).rejects.toMatchObject({ code: 'CURSOR_AHEAD' });
  });

  test('a follower sees what comes, and the end', async () => {
    const { id } = await start(['sh', '-c', 'read line; echo "$line"; read line; echo "$line" >&2'], {
      keepInput: true,
    });
    const write = (data: string) => processes().write.mutate({ agentId: agentId(), processId: id, input: { data } });
    const seen: string[] = [];
    await write('first\n');
    for await (const part of processes().logs({ agentId: agentId(), processId: id, follow: true })) {
      if (part.type === 'output') {
        seen.push(`${part.stream} ${Buffer.from(part.data).toString()}`);
        if (seen.length === 1) await write('second\n');
      } else seen.push(part.type);
    }
    expect(seen).toEqual(['stdout first\n', 'stderr second\n', 'end']);
  });

  test('bytes that are no text arrive as they are', async () => {
    const { id } = await start(['sh', '-c', String.raw`printf '\377\000\303\274\303'`]);
    await processes().wait.query({ agentId: agentId(), processId: id });
    const parts = await partsOf({ processId: id, follow: true });
    const bytes = Buffer.concat(parts.flatMap((part) => (part.type === 'output' ? [part.data] : [])));
    expect([...bytes]).toEqual([0xff, 0, 0xc3, 0xbc, 0xc3]);
  });

  test('it is never blocked by the absence of readers, and what is gone is told to the byte', async () => {
    const { id } = await start(['sh', '-c', 'head -c 50000000 /dev/zero; printf end']);
    const ended = await processes().wait.query({ agentId: agentId(), processId: id });
    expect(ended.state).toBe('exited');
    const parts = await partsOf({ processId: id, follow: true });
    const [lost] = parts;
    if (lost?.type !== 'lost') throw new Error('nothing was lost');
    const kept = parts.reduce((sum, part) => sum + (part.type === 'output' ? part.data.length : 0), 0);
    expect(lost.bytes + kept).toBe(50_000_003);
    expect(kept).toBe(1024 * 1024);
    expect(textOf(parts, 'stdout').endsWith('\0end')).toBe(true);
  });

  test('it outlives its caller and the wire, and its log goes on where it was read to', async () => {
    const { id } = await start(['sh', '-c', 'echo before; read line; echo after'], { keepInput: true });
    const options = { agentId: agentId(), processId: id, follow: true };
    const reading = processes().logs(options)[Symbol.asyncIterator]();
    expect((await reading.next()).value).toMatchObject({ offset: 0 });
    workspace.provider.cut();
    const write = { agentId: agentId(), processId: id, input: { data: 'go\n' }, end: true };
    await until('the wire is up again', () =>
      processes()
        .write.mutate(write)
        .then(
          () => true,
          () => false,
        ),
    );
    const after = (await reading.next()).value;
    expect(after).toMatchObject({ type: 'output', offset: 7 });
    expect((await reading.next()).value).toMatchObject({ type: 'end' });
  });

  test('input: what is closed or full says so, and nothing is written then', async () => {
    const closed = await start(['cat']);
    const write = (processId: string, size: number, end = false) =>
      processes().write.mutate({ agentId: agentId(), processId, input: { data: 'x'.repeat(size) }, end });
    await expect(write(closed.id, 1)).rejects.toMatchObject({ code: 'INPUT_CLOSED' });
    const deaf = await start(['sleep', '60'], { keepInput: true });
    expect((await write(deaf.id, 700_000)).waitingBytes).toBeGreaterThan(500_000);
    await expect(write(deaf.id, 700_000)).rejects.toMatchObject({
      code: 'INPUT_FULL',
      retryable: true,
      details: { limit: 1024 * 1024 },
    });
    await processes().kill.mutate({ agentId: agentId(), processId: deaf.id });
    await expect(write(deaf.id, 1)).rejects.toMatchObject({ code: 'INPUT_CLOSED' });
  });

  test('a wait ends by itself, and leaves the process alone', async () => {
    const { id } = await start(['sleep', '60']);
    const waited = await processes().wait.query({ agentId: agentId(), processId: id, timeoutMs: 10 });
    expect(waited.state).toBe('running');
    expect(await processes().kill.mutate({ agentId: agentId(), processId: id })).toEqual({ found: 1, left: [] });
    const ended = await processes().get.query({ agentId: agentId(), processId: id });
    expect(ended).toMatchObject({ state: 'exited', exitCode: null, signal: 'SIGTERM' });
    await expect(
      processes().signal.mutate({ agentId: agentId(), processId: id, signal: 'SIGHUP' }),
    ).rejects.toMatchObject({ code: 'PROCESS_ENDED' });
    expect(await processes().kill.mutate({ agentId: agentId(), processId: id })).toEqual({ found: 0, left: [] });
  });

  test('a kill reaches what left the group, and what does not want to go', async () => {
    const script = `trap '' TERM; set -m; sh -c "trap '' TERM; echo \\$\\$; while :; do sleep 1; done" & echo $$; wait; wait`;
    const { id } = await start(['bash', '-c', script]);
    const pids = await until('both run', async () => {
      const lines = textOf(await partsOf({ processId: id }), 'stdout')
        .trim()
        .split('\n')
        .map(Number);
      return lines.length === 2 ? lines : undefined;
    });
    expect(pids.map(isAlive)).toEqual([true, true]);
    const killed = await processes().kill.mutate({ agentId: agentId(), processId: id, graceMs: 200 });
    expect(killed.left).toEqual([]);
    await until('they are dead', () => !pids.some(isAlive));
  });

  test('what a process leaves running holds its output open, and is killed under its id', async () => {
    const { id } = await start(['sh', '-c', 'sleep 60 & echo $!']);
    const ended = await processes().wait.query({ agentId: agentId(), processId: id });
    expect(ended).toMatchObject({ state: 'exited', exitCode: 0, output: { open: true } });
    const pid = Number(textOf(await partsOf({ processId: id }), 'stdout'));
    expect(isAlive(pid)).toBe(true);
    const left = await until('the shell has become the program', async () => {
      const { tree } = await processes().list.query({ agentId: agentId() });
      return tree.find((row) => row.pid === pid && row.command === 'sleep 60');
    });
    expect(left.owner).toEqual({ kind: 'process', id });
    expect(await processes().kill.mutate({ agentId: agentId(), processId: id })).toEqual({ found: 1, left: [] });
    await until('it is dead', () => !isAlive(pid));
    const over = await until('its output has ended', async () => {
      const info = await processes().get.query({ agentId: agentId(), processId: id });
      return info.output.open ? undefined : info;
    });
    expect(over.exitCode).toBe(0);
  });
});

test('the list tells of the processes, the whole tree, and the limits', async () => {
  const { id, pid } = await start(['sh', '-c', 'sleep 60; true']);
  const {
    processes: listed,
    tree,
    limits,
    incarnation,
  } = await until('its child runs', async () => {
    const list = await processes().list.query({ agentId: agentId() });
    return list.tree.some(({ ppid, command }) => ppid === pid && command === 'sleep 60') ? list : undefined;
  });
  expect(incarnation).toMatch(/^inc-/);
  expect(listed.find((process) => process.id === id)).toMatchObject({
    pid,
    state: 'running',
    command: ['sh', '-c', 'sleep 60; true'],
  });
  const row = tree.find((process) => process.pid === pid);
  expect(row).toMatchObject({ ppid: globalThis.process.pid, owner: { kind: 'process', id }, user: expect.any(String) });
  expect(row?.memoryBytes).toBeGreaterThan(0);
  expect(Math.abs((row?.startedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  expect(tree.find((process) => process.ppid === pid)).toMatchObject({ command: 'sleep 60', owner: { id } });
  expect(limits.processes).toMatchObject({ most: 64 });
  await processes().signal.mutate({ agentId: agentId(), pid, signal: 'SIGKILL' });
  await processes().wait.query({ agentId: agentId(), processId: id });
  expect(await processes().kill.mutate({ agentId: agentId(), processId: id })).toMatchObject({ left: [] });
});

test('what holds the sandbox up is not signalled, and a pid that is nobody is not found', async () => {
  for (const pid of [1, process.pid]) {
    const call = processes().kill.mutate({ agentId: agentId(), pid });
    await expect(call).rejects.toMatchObject({ code: 'FORBIDDEN' });
  }
  const nobody = processes().signal.mutate({ agentId: agentId(), pid: 4_194_303, signal: 'SIGTERM' });
  await expect(nobody).rejects.toMatchObject({ code: 'PROCESS_NOT_FOUND' });
  const both = processes().kill.mutate({ agentId: agentId(), pid: 2, processId: newProcessId() });
  await expect(both).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

describe('spawn', () => {
  test('streams go both ways, and the exit comes at the end', async () => {
    const child = await spawn(['sh', '-c', 'cat; echo done >&2; exit 3']);
    expect(child.process).toMatchObject({ kind: 'attached', state: 'running' });
    const writer = child.stdin.getWriter();
    await writer.write(Buffer.from('hello '));
    await writer.write(Buffer.from('world'));
    await writer.close();
    const { stdout, stderr, end } = await outcome(child);
    expect([stdout.toString(), stderr.toString(), end]).toEqual([
      'hello world',
      'done\n',
      { exitCode: 3, signal: null, timedOut: false },
    ]);
  });

  test('bulk goes both ways at once, byte for byte', async () => {
    const sent = Buffer.alloc(24_000_000, 'caisson');
    const child = await spawn(['cat']);
    const writing = new Response(sent).body?.pipeTo(child.stdin);
    const { stdout } = await outcome(child);
    await writing;
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'));
  });

  test('a reader that does not read holds the process back, and nothing is lost', async () => {
    const child = await spawn(['sh', '-c', 'head -c 40000000 /dev/zero; echo yes > finished']);
    const finished = join(workspace.roots[0], 'finished');
    const reader = child.stdout.getReader();
    let bytes = (await reader.read()).value?.length ?? 0;
    for (let i = 0; i < 20; i++) await workspace.client.processes.list.query({ agentId: agentId() });
    await expect(readFile(finished)).rejects.toMatchObject({ code: 'ENOENT' });
    for (let next = await reader.read(); !next.done; next = await reader.read()) bytes += next.value.length;
    expect(bytes).toBe(40_000_000);
    expect(await child.exit).toMatchObject({ exitCode: 0 });
    expect(await readFile(finished, 'utf8')).toBe('yes\n');
  });

  test('an output that is cancelled holds nothing back', async () => {
    const child = await spawn(['sh', '-c', 'head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2']);
    await child.stdout.cancel();
    expect(await bytesOf(child.stderr)).toHaveLength(20_000_000);
    expect(await child.exit).toMatchObject({ exitCode: 0 });
  });

  test('a process that does not read holds its writer back, and its end fails the write', async () => {
    const child = await spawn(['sleep', '60']);
    const writer = child.stdin.getWriter();
    let written = 0;
    const writing = (async () => {
      for (; ; written += 100_000) await writer.write(Buffer.alloc(100_000));
    })();
    const failed = expect(writing).rejects.toMatchObject({ code: 'PROCESS_ENDED' });
    for (let i = 0; i < 20; i++) await workspace.client.processes.list.query({ agentId: agentId() });
    expect(written).toBeLessThan(8_000_000);
    child.kill('SIGKILL');
    expect(await child.exit).toMatchObject({ signal: 'SIGKILL' });
    await failed;
  });

  test('the input of a process that has ended already can be closed, and takes nothing more', async () => {
    const child = await spawn(['true']);
    await child.exit;
    await child.stdin.close();
    const other = await spawn(['true']);
    await other.exit;
    await expect(other.stdin.getWriter().write(Buffer.from('x'))).rejects.toMatchObject({ code: 'PROCESS_ENDED' });
  });

  test('a signal reaches the whole group', async () => {
    const child = await spawn(['sh', '-c', 'trap "echo caught; exit 5" INT; echo ready; sleep 60 & wait']);
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe('ready\n');
    child.kill('SIGINT');
    expect((await reader.read()).value).toBe('caught\n');
    expect(await child.exit).toMatchObject({ exitCode: 5 });
  });

  test.for(['close', 'abort'] as const)('leaving by %s kills it with all that it started', async (how) => {
    const leave = new AbortController();
    const child = await spawn(['sh', '-c', 'sleep 60 & echo $$ $!; wait'], { signal: leave.signal });
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const pids = ((await reader.read()).value ?? '').trim().split(' ').map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    if (how === 'close') child.close();
    else leave.abort();
    await expect(child.exit).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(reader.read()).rejects.toMatchObject({ code: 'ABORTED' });
    await until('they are dead', () => !pids.some(isAlive));
  });

  test('a lost wire ends it with an error, never with a hang', async () => {
    const child = await spawn(['sleep', '60']);
    workspace.provider.cut();
    await expect(child.exit).rejects.toMatchObject({ code: 'WIRE_LOST' });
    await expect(bytesOf(child.stdout)).rejects.toMatchObject({ code: 'WIRE_LOST' });
    await until('it is dead', () => !isAlive(child.process.pid));
  });

  test('what cannot be run rejects with the reason', async () => {
    await expect(spawn(['no-such-program'])).rejects.toMatchObject({
      code: 'PROCESS_NOT_STARTED',
      details: { reason: 'ENOENT' },
    });
    await expect(spawn(['true'], { cwd: '../..' })).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
    await expect(spawn([])).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(spawn(['x'.repeat(100_000)])).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });
});

describe('a stranger', () => {
  test('is told that there is no such agent', async () => {
    const { stranger } = workspace;
    const refused = { code: 'AGENT_NOT_FOUND' };
    await expect(stranger.processes.spawn({ agentId: agentId(), command: ['true'] })).rejects.toMatchObject(refused);
    await expect(stranger.processes.list.query({ agentId: agentId() })).rejects.toMatchObject(refused);
    await expect(workspace.client.processes.spawn({ agentId: newAgentId(), command: ['true'] })).rejects.toMatchObject(
      refused,
    );
  });

  test('a key that is none opens no socket', async () => {
    const nobody = createCaissonClient({ url: workspace.url, apiKey: 'csn_nobody' });
    await expect(nobody.processes.spawn({ agentId: agentId(), command: ['true'] })).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    });
  });
});

test('a key that is revoked ends its sockets, and the processes with them', async () => {
  const admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
  const made = await admin.keys.create.mutate({ name: 'short-lived', user: 'alice', role: 'member' });
  const client = createCaissonClient({ url: workspace.url, apiKey: made.secret });
  const child = await client.processes.spawn({ agentId: agentId(), command: ['sleep', '60'] });
  await admin.keys.revoke.mutate({ keyId: made.key.id });
  await expect(child.exit).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await until('it is dead', () => !isAlive(child.process.pid));
});

describe('a socket that does not keep to what is agreed', () => {
  const open = async (): Promise<WebSocket> => {
    const key = Buffer.from(workspace.apiKey).toString('base64url');
    const url = `${workspace.url.replace('http', 'ws')}/v1/agents/${agentId()}/processes/attach`;
    const socket = new WebSocket(url, ['caisson.v1', `base64url.bearer.authorization.caisson.${key}`]);
    await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
    return socket;
  };
  const command = (...words: string[]): string => JSON.stringify({ type: 'start', command: words });

  test.for([
    ['says what is no JSON', ['{']],
    ['says nothing that is known', ['{"type":"nonsense"}']],
    ['sends input before the start', [Buffer.from('early')]],
    ['starts twice', [command('sleep', '60'), command('sleep', '60')]],
    ['takes more than was sent', [command('sleep', '60'), '{"type":"taken","bytes":1000}']],
    ['sends more than the window', [command('sleep', '60'), ...Array.from({ length: 40 }, () => Buffer.alloc(60_000))]],
  ] as const)('and %s is told, and closed', async ([, messages]) => {
    const socket = await open();
    const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
    const told = new Promise<unknown>((resolve) =>
      socket.addEventListener('message', ({ data }) => {
        if (typeof data === 'string' && data.includes('"failed"')) resolve(JSON.parse(data));
      }),
    );
    for (const message of messages) socket.send(message);
    expect(await told).toMatchObject({ type: 'failed', error: { code: 'BAD_REQUEST' } });
    expect(await closed).toBe(1008);
  });

  test.for([
    ['very many values', { env: Array.from({ length: 10_001 }, () => 1) }, 'The input has too many values'],
    ['a long name that nobody knows', { ['k'.repeat(900_000)]: 1 }, 'kkkkkkkk'],
  ] as const)('and says %s is told so in few words', async ([, fields, words]) => {
    const socket = await open();
    const told = new Promise<string>((resolve) =>
      socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true }),
    );
    socket.send(JSON.stringify({ type: 'start', command: ['true'], ...fields }));
    expect(JSON.parse(await told)).toMatchObject({ error: { code: 'BAD_REQUEST' } });
    expect(await told).toContain(words);
    expect((await told).length).toBeLessThan(1_000);
  });

  test('a signal that comes right behind the start is not lost', async () => {
    const socket = await open();
    const exited = new Promise<unknown>((resolve) =>
      socket.addEventListener('message', ({ data }) => {
        if (String(data).includes('"exited"')) resolve(JSON.parse(String(data)));
      }),
    );
    socket.send(command('sleep', '60'));
    socket.send('{"type":"signal","signal":"SIGTERM"}');
    expect(await exited).toMatchObject({ signal: 'SIGTERM' });
  });

  test('and says nothing to start is closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const socket = await open();
      const told = new Promise<string>((resolve) =>
        socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true }),
      );
      vi.advanceTimersByTime(30_000);
      expect(JSON.parse(await told)).toMatchObject({ error: { message: 'Nothing was said to start.' } });
    } finally {
      vi.useRealTimers();
    }
  });

  test('and says that it took what it does not read holds the process back, not memory', async () => {
    const url = `${workspace.url.replace('http', 'ws')}/v1/agents/${agentId()}/processes/attach`;
    const socket = new RawSocket(url, ['caisson.v1'], { headers: { authorization: `Bearer ${workspace.apiKey}` } });
    await once(socket, 'open');
    const script = 'head -c 40000000 /dev/zero; touch all-was-taken; exec sleep 60';
    socket.send(JSON.stringify({ type: 'start', command: ['sh', '-c', script] }));
    await once(socket, 'message');
    socket.pause();
    for (let bytes = 0; bytes < 40_000_000 && socket.readyState === socket.OPEN; bytes += 256 * 1024) {
      socket.send(JSON.stringify({ type: 'taken', bytes })); // always a window less than can have been sent
      for (let i = 0; i < 8; i++) await workspace.client.agents.get.query({ agentId: agentId() });
    }
    await expect(readFile(join(workspace.roots[0], 'all-was-taken'))).rejects.toMatchObject({ code: 'ENOENT' });
    socket.terminate();
  });

  test('input and its end that come right behind the start are not lost', async () => {
    const socket = await open();
    socket.binaryType = 'arraybuffer';
    let output = '';
    const exited = new Promise<unknown>((resolve) =>
      socket.addEventListener('message', ({ data }) => {
        if (data instanceof ArrayBuffer) output += Buffer.from(data, 1).toString();
        else if (String(data).includes('"exited"')) resolve(JSON.parse(String(data)));
      }),
    );
    socket.send(command('cat'));
    socket.send(Buffer.from('at once'));
    socket.send('{"type":"end"}');
    expect(await exited).toMatchObject({ exitCode: 0 });
    expect(output).toBe('at once');
  });
});

test('a sandbox that was started anew says that it has no such process, and which start it is', async () => {
  const { id } = await start(['sleep', '60']);
  const before = (await processes().list.query({ agentId: agentId() })).incarnation;
  await workspace.provider.stop(agentIdSchema.parse(workspace.agent.id));
  await until('the sandbox is up again', () =>
    processes()
      .exec.mutate({ agentId: agentId(), command: ['true'] })
      .then(
        () => true,
        () => false,
      ),
  );
  const { incarnation } = await processes().list.query({ agentId: agentId() });
  expect(incarnation).not.toBe(before);
  const gone = { code: 'PROCESS_NOT_FOUND', details: { processId: id, incarnation } };
  await expect(processes().get.query({ agentId: agentId(), processId: id })).rejects.toMatchObject(gone);
  await expect(partsOf({ processId: id, follow: true })).rejects.toMatchObject(gone);
});
