import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { OutputPiece } from '../../../src/wire/output-frames.ts';
import { until } from '../../until.ts';
import { runGuest } from '../running-guest.ts';
import { isAlive, outputsOf, run } from './outputs.ts';

test('output, stderr, and exit code come back apart', async () => {
  await using running = await runGuest();
  const client = await running.client();
  expect(await run(client, ['sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({
    output: 'out\n',
    stderr: 'err\n',
    exitCode: 7,
    signal: null,
  });
});

test('a process that a signal ended says which', async () => {
  await using running = await runGuest();
  const client = await running.client();
  expect(await run(client, ['sh', '-c', 'kill -TERM $$'])).toMatchObject({ exitCode: null, signal: 'SIGTERM' });
});

test('input reaches the process to its end, and the arguments are no shell text', async () => {
  await using running = await runGuest();
  const client = await running.client();
  expect(await run(client, ['cat'], 'hello')).toMatchObject({ output: 'hello', exitCode: 0 });
  expect(await run(client, ['printf', '%s', '$HOME; exit 1'])).toMatchObject({ output: '$HOME; exit 1', exitCode: 0 });
});

test('the process gets its directory and its environment', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const [, home] = running.roots;
  const child = await client.processes.attach({ command: ['sh', '-c', 'pwd; echo $A'], cwd: home, env: { A: 'ä' } });
  child.stdin.end();
  expect((await outputsOf(child)).stdout.toString()).toBe(`${home}\nä\n`);
});

test('64 MB of output arrive byte for byte, on both outputs', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const script = 'yes caisson | head -c 64000000 & yes caisson | head -c 64000000 >&2; wait';
  const child = await client.processes.attach({ command: ['sh', '-c', script] });
  child.stdin.end();
  const hashes = { stdout: createHash('sha256'), stderr: createHash('sha256') };
  for await (const pieces of child.output) {
    for (const piece of pieces) if (piece.stream !== 'gap') hashes[piece.stream].update(piece.data);
  }
  const expected = createHash('sha256').update(Buffer.alloc(64_000_000, 'caisson\n')).digest('hex');
  expect(hashes.stdout.digest('hex')).toBe(expected);
  expect(hashes.stderr.digest('hex')).toBe(expected);
  expect(await child.exit).toMatchObject({ exitCode: 0 });
});

test('bulk both ways at once arrives byte for byte', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const sent = Buffer.alloc(24_000_000, 'caisson');
  const child = await client.processes.attach({ command: ['cat'] });
  child.stdin.end(sent);
  const { stdout } = await outputsOf(child);
  expect(stdout.equals(sent)).toBe(true);
});

test('input that comes after the end fails by itself, and costs no output', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const child = await client.processes.attach({ command: ['echo', 'said'] });
  await child.exit;
  const failed = new Promise((resolve) => child.stdin.write('late', resolve));
  expect(await failed).toMatchObject({ code: 'PROCESS_ENDED' });
  child.stdin.end('later');
  expect((await outputsOf(child)).stdout.toString()).toBe('said\n');
});

test('a process ends although its input stays open, or is not read', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const open = await client.processes.attach({ command: ['true'] });
  await outputsOf(open);
  expect(await open.exit).toMatchObject({ exitCode: 0 });
  const unread = await client.processes.attach({ command: ['sh', '-c', 'exec <&-; echo done'] });
  unread.stdin.on('error', () => undefined);
  unread.stdin.write(Buffer.alloc(20_000_000));
  expect((await outputsOf(unread)).stdout.toString()).toBe('done\n');
  expect(await unread.exit).toMatchObject({ exitCode: 0 });
});

test.for([
  ['a program that is not there', { command: ['/no/such/program'] }, 'PROCESS_NOT_STARTED'],
  ['a file that is no program', { command: ['/etc/passwd'] }, 'PROCESS_NOT_STARTED'],
  ['a folder that is not there', { command: ['true'], cwd: 'no/such' }, 'FILE_NOT_FOUND'],
  ['a file in place of a folder', { command: ['true'], cwd: '/etc/passwd' }, 'NOT_A_DIRECTORY'],
  ['a folder outside of the roots', { command: ['true'], cwd: '/etc' }, 'PATH_FORBIDDEN'],
  ['a way out of the roots', { command: ['true'], cwd: '../../..' }, 'PATH_FORBIDDEN'],
  ['a NUL in an argument', { command: ['true', 'a\0b'] }, 'BAD_REQUEST'],
  ['a NUL in the environment', { command: ['true'], env: { A: '\0' } }, 'BAD_REQUEST'],
  ['a variable without a name', { command: ['true'], env: { 'A=B': 'c' } }, 'BAD_REQUEST'],
  ['no program', { command: [''] }, 'BAD_REQUEST'],
  ['no command', { command: [] }, 'BAD_REQUEST'],
] as const)('%s is refused, and leaves nothing behind', async ([, request, code]) => {
  await using running = await runGuest();
  const client = await running.client();
  const refused = client.processes.attach({ ...request, command: [...request.command] });
  await expect(refused).rejects.toMatchObject({ code });
  expect((await client.processes.list()).processes).toEqual([]);
});

test('a link in the workspace that leads out is no way out', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await symlink('/etc', join(running.roots[0], 'out'));
  await expect(client.processes.attach({ command: ['true'], cwd: 'out' })).rejects.toMatchObject({
    code: 'PATH_FORBIDDEN',
  });
});

test('a folder whose name is no UTF-8 can be worked in', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const name = Buffer.concat([Buffer.from(`${running.roots[0]}/a `), Buffer.from([0xff]), Buffer.from('\n')]);
  await mkdir(name);
  const child = await client.processes.attach({ command: ['pwd'], cwd: 'a \udcff\n' });
  child.stdin.end();
  expect((await outputsOf(child)).stdout.subarray(0, -1).equals(name)).toBe(true);
  expect(child.info.cwd).toBe(`${running.roots[0]}/a \udcff\n`);
});

test('a command that no header can hold is a BAD_REQUEST, and the largest that can is run', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const tooLong = client.processes.attach({ command: ['true', 'x'.repeat(50_000)] });
  await expect(tooLong).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  expect(await run(client, ['printf', '%s', 'x'.repeat(46_000)])).toMatchObject({ output: 'x'.repeat(46_000) });
});

test('a background process that keeps the output open does not hold back the answer, and lives on', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const { output, exitCode } = await run(client, ['sh', '-c', 'sleep 60 & echo $!']);
  expect(exitCode).toBe(0);
  const pid = Number(output);
  expect(isAlive(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
});

/** A shell and its child; the shell says both pids. */
const family = ['sh', '-c', 'sleep 60 & echo $$ $!; wait'];

test.for(['its output is left', 'its signal aborts', 'the wire is lost'] as const)(
  'the whole process group dies when %s',
  async (cause) => {
    await using running = await runGuest();
    const client = await running.client();
    const controller = new AbortController();
    const child = await client.processes.attach({ command: family }, controller.signal);
    const reading = child.output[Symbol.asyncIterator]();
    const first = (await reading.next()).value as readonly { data: Buffer }[];
    const pids = first[0]?.data.toString().trim().split(' ').map(Number) ?? [];
    expect(pids.map(isAlive)).toEqual([true, true]);
    if (cause === 'its output is left') await reading.return?.();
    else if (cause === 'its signal aborts') controller.abort(new Error('enough'));
    else await client.close();
    await expect(child.exit).rejects.toThrow(cause === 'its signal aborts' ? 'enough' : /broke off/);
    await until('they are dead', () => !pids.some(isAlive));
  },
);

test('a process waits while nobody reads its output, and loses none of it', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const directory = await mkdtemp(join(tmpdir(), 'caisson-exec-'));
  const done = join(directory, 'done');
  const command = ['sh', '-c', `head -c 30000000 /dev/zero; echo yes > ${done}`];
  const child = await client.processes.attach({ command });
  child.stdin.end();
  const reading = child.output[Symbol.asyncIterator]();
  const sizeOf = (pieces: readonly OutputPiece[]): number =>
    pieces.reduce((sum, piece) => sum + (piece.stream === 'gap' ? 0 : piece.data.length), 0);
  const first = await reading.next(); // it has begun, and cannot end: 30 MB do not fit between the ends
  for (let i = 0; i < 20; i++) await client.health();
  await expect(readFile(done)).rejects.toMatchObject({ code: 'ENOENT' });
  let bytes = sizeOf(first.value as readonly OutputPiece[]);
  for (let next = await reading.next(); next.done !== true; next = await reading.next()) bytes += sizeOf(next.value);
  expect(bytes).toBe(30_000_000);
  expect(await readFile(done, 'utf8')).toBe('yes\n');
  await rm(directory, { recursive: true });
});

test('a process whose time is up is asked to end, with all that it started', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const child = await client.processes.attach({ command: family, timeoutMs: 300 });
  const { stdout } = await outputsOf(child);
  expect(await child.exit).toEqual({ exitCode: null, signal: 'SIGTERM', timedOut: true });
  const pids = stdout.toString().trim().split(' ').map(Number);
  await until('they are dead', () => !pids.some(isAlive));
});

test('processes at once are bounded', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const children = await Promise.all(Array.from({ length: 64 }, () => client.processes.attach({ command: ['cat'] })));
  await expect(client.processes.attach({ command: ['true'] })).rejects.toMatchObject({
    code: 'LIMIT_REACHED',
    details: { limit: 64 },
  });
  expect((await client.processes.list()).limits.processes).toEqual({ used: 64, most: 64 });
  for (const child of children) child.stdin.end();
  await Promise.all(children.map(outputsOf));
  await Promise.all(children.map(({ exit }) => exit));
  expect(await run(client, ['true'])).toMatchObject({ exitCode: 0 });
});
