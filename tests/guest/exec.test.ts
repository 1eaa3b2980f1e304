import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { maxStderrBytes } from '../../src/wire/contract/guest-api.ts';
import type { GuestClient } from '../../src/wire/guest-client.ts';
import { runGuest } from './running-guest.ts';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function run(client: GuestClient, command: string[], input = '') {
  const child = await client.exec({ command });
  child.stdin.end(input);
  const output = await text(child.stdout);
  return { output, ...(await child.result) };
}

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
  const child = await client.exec({ command: ['sh', '-c', 'pwd; echo $A'], cwd: '/', env: { A: 'ä' } });
  child.stdin.end();
  expect(await text(child.stdout)).toBe('/\nä\n');
});

test('64 MB of output arrive byte for byte', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const child = await client.exec({ command: ['sh', '-c', 'yes caisson | head -c 64000000'] });
  child.stdin.end();
  const hash = createHash('sha256');
  for await (const chunk of child.stdout) hash.update(chunk as Buffer);
  const line = Buffer.from('caisson\n');
  expect(hash.digest('hex')).toBe(createHash('sha256').update(Buffer.alloc(64_000_000, line)).digest('hex'));
  expect(await child.result).toMatchObject({ exitCode: 0 });
});

test('bulk both ways at once arrives byte for byte', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const sent = Buffer.alloc(24_000_000, 'caisson');
  const child = await client.exec({ command: ['cat'] });
  child.stdin.end(sent);
  const hash = createHash('sha256');
  for await (const chunk of child.stdout) hash.update(chunk as Buffer);
  expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'));
});

test('a process ends although its input stays open, or is not read', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const open = await client.exec({ command: ['true'] });
  open.stdout.resume();
  expect(await open.result).toMatchObject({ exitCode: 0 });
  const unread = await client.exec({ command: ['sh', '-c', 'exec <&-; echo done'] });
  unread.stdin.on('error', () => undefined);
  unread.stdin.write(Buffer.alloc(20_000_000));
  expect(await text(unread.stdout)).toBe('done\n');
  expect(await unread.result).toMatchObject({ exitCode: 0 });
});

test('the end of a long stderr is kept', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const { stderr } = await run(client, ['sh', '-c', 'yes "\u0001" | head -c 300000 >&2; printf end >&2']);
  expect(stderr).toHaveLength(maxStderrBytes);
  expect(stderr.endsWith('\n\u0001\nend')).toBe(true);
});

test.for([
  ['program', { command: ['/no/such/program'] }],
  ['directory', { command: ['true'], cwd: '/no/such/directory' }],
] as const)('a %s that is not there is a BAD_REQUEST', async ([, request]) => {
  await using running = await runGuest();
  const client = await running.client();
  await expect(client.exec({ ...request, command: [...request.command] })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  });
});

test('a command that no header can hold is a BAD_REQUEST, and the largest that can is run', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await expect(client.exec({ command: ['true', 'x'.repeat(50_000)] })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
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

test.for(['its output is destroyed', 'its signal aborts', 'the wire is lost'] as const)(
  'the whole process group dies when %s',
  async (cause) => {
    await using running = await runGuest();
    const client = await running.client();
    const controller = new AbortController();
    const child = await client.exec({ command: family }, controller.signal);
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const pids = chunk.toString().trim().split(' ').map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    if (cause === 'its output is destroyed') child.stdout.destroy();
    else if (cause === 'its signal aborts') controller.abort(new Error('enough'));
    else await client.close();
    await expect(child.result).rejects.toThrow(cause === 'its signal aborts' ? 'enough' : /broke off/);
    await vi.waitFor(() => expect(pids.map(isAlive)).toEqual([false, false]), { timeout: 10_000 });
  },
);

test('a process waits while nobody reads its output, and loses none of it', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const directory = await mkdtemp(join(tmpdir(), 'caisson-exec-'));
  const done = join(directory, 'done');
  const child = await client.exec({ command: ['sh', '-c', `head -c 30000000 /dev/zero; echo yes > ${done}`] });
  child.stdin.end();
  await once(child.stdout, 'readable'); // it has begun, and cannot end: 30 MB do not fit between the ends
  for (let i = 0; i < 20; i++) await client.health();
  await expect(readFile(done)).rejects.toMatchObject({ code: 'ENOENT' });
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += (chunk as Buffer).length;
  expect(bytes).toBe(30_000_000);
  expect(await readFile(done, 'utf8')).toBe('yes\n');
  await rm(directory, { recursive: true });
});

test('processes at once are bounded', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const children = await Promise.all(Array.from({ length: 64 }, () => client.exec({ command: ['cat'] })));
  await expect(client.exec({ command: ['true'] })).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  for (const child of children) {
    child.stdout.resume();
    child.stdin.end();
  }
  await Promise.all(children.map(({ result }) => result));
  expect(await run(client, ['true'])).toMatchObject({ exitCode: 0 });
});
