import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { LogBudget } from '../../../src/guest/processes/log-budget.ts';
import type { OutputLog } from '../../../src/guest/processes/output-log.ts';
import { ProcessOwners } from '../../../src/guest/processes/process-owners.ts';
import { ProcessTable } from '../../../src/guest/processes/process-table.ts';
import type { Clock } from '../../../src/kernel/clock.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { newIncarnationId, newProcessId } from '../../../src/kernel/ids.ts';
import type { OutputPiece } from '../../../src/wire/output-frames.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { livePromises } from '../../live-promises.ts';
import { until } from '../../until.ts';
import { runGuest } from '../running-guest.ts';
import { isAlive } from './outputs.ts';

async function openTable(clock: Clock = systemClock, budget = new LogBudget()) {
  const root = await mkdtemp(join(tmpdir(), 'caisson-table-'));
  const incarnation = newIncarnationId();
  const owners = new ProcessOwners(() => undefined);
  const table = new ProcessTable({ incarnation, roots: [root], owners, clock, budget });
  return {
    table,
    incarnation,
    start: (...command: string[]) => table.start({ command, keepInput: false }),
    [Symbol.asyncDispose]: async () => {
      table.stop();
      await rm(root, { recursive: true });
    },
  };
}

test('the last 64 that have ended are remembered; those that run always are', async () => {
  await using opened = await openTable();
  const { table, start } = opened;
  const first = await start('true');
  const running = await start('sleep', '60');
  await table.get(first.id).over;
  for (let i = 0; i < 64; i++) await table.get((await start('true')).id).over;
  expect(() => table.get(first.id)).toThrow(expect.objectContaining({ code: 'PROCESS_NOT_FOUND' }));
  expect(table.get(running.id).info().state).toBe('running');
  expect((await table.list()).processes).toHaveLength(65);
});

test('one that has ended is forgotten after an hour, with its output', async () => {
  const clock = new HandClock();
  const budget = new LogBudget();
  await using opened = await openTable(clock, budget);
  const { table, start, incarnation } = opened;
  const { id } = await start('echo', 'hello');
  await table.get(id).over;
  expect(budget.bytes).toBe(6);
  clock.advance(3_599_000);
  expect(table.outputOf(id).isEnded).toBe(true);
  clock.advance(2_000);
  expect(() => table.get(id)).toThrow(
    expect.objectContaining({ code: 'PROCESS_NOT_FOUND', details: { processId: id, incarnation } }),
  );
  expect((await table.list()).processes).toEqual([]);
  expect(budget.bytes).toBe(0);
});

test('what is only attached, or only awaited, is forgotten at its end and has no logs', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const attached = await client.processes.attach({ command: ['cat'] });
  await expect(client.processes.logs(attached.info.id, { after: 0, follow: false })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  });
  attached.stdin.end();
  for await (const _ of attached.output);
  await until('it is forgotten', async () =>
    client.processes.get(attached.info.id).then(
      () => false,
      (error: { code: string }) => error.code === 'PROCESS_NOT_FOUND',
    ),
  );
});

test('a start that fails leaves nothing behind: no log, and no place', async () => {
  const budget = new LogBudget();
  const known = new Set<OutputLog>();
  const [add, remove] = [budget.add.bind(budget), budget.remove.bind(budget)];
  vi.spyOn(budget, 'add').mockImplementation((log) => add((known.add(log), log)));
  vi.spyOn(budget, 'remove').mockImplementation((log) => remove((known.delete(log), log)));
  await using opened = await openTable(systemClock, budget);
  const { table, start } = opened;
  for (let i = 0; i < 65; i++) {
    await expect(start('no-such-program')).rejects.toMatchObject({ code: 'PROCESS_NOT_STARTED' });
    const lost = table.start({ command: ['true'], cwd: 'missing', keepInput: false });
    await expect(lost).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  }
  expect(known.size).toBe(0);
  await start('true');
  expect(known.size).toBe(1);
});

test('a wait that is over is not held until the process is', async () => {
  await using running = await runGuest();
  const { processes } = await running.client();
  const { id } = await processes.start({ command: ['sleep', '60'], keepInput: false });
  await processes.wait(id, 0);
  const before = livePromises();
  for (let i = 0; i < 300; i++) expect((await processes.wait(id, 0)).state).toBe('running');
  expect(livePromises()).toBeLessThan(before + 100);
});

test('processes of one guest are nothing to another', async () => {
  await using one = await openTable();
  await using other = await openTable();
  const { id } = await one.start('sleep', '60');
  expect(() => other.table.get(id)).toThrow(
    expect.objectContaining({ details: { processId: id, incarnation: other.incarnation } }),
  );
  expect(() => one.table.get(newProcessId())).toThrow(expect.objectContaining({ code: 'PROCESS_NOT_FOUND' }));
});

test('a reader that is slower than the process is told in mid-stream how much it lost', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const { id } = await client.processes.start({
    command: ['sh', '-c', 'read x; head -c 60000000 /dev/zero'],
    keepInput: true,
  });
  const log = await client.processes.logs(id, { after: 0, follow: true });
  await client.processes.write(id, Buffer.from('go\n'), true);
  const other = await running.client();
  expect(await other.processes.wait(id, 60_000)).toMatchObject({ state: 'exited', exitCode: 0 }); // nobody has read
  const pieces: OutputPiece[] = [];
  const reading = log.read();
  let step = await reading.next();
  for (; step.done !== true; step = await reading.next()) pieces.push(...step.value);
  const gaps = pieces.flatMap((piece) => (piece.stream === 'gap' ? [piece.lost] : []));
  const bytes = pieces.reduce((sum, piece) => sum + (piece.stream === 'gap' ? 0 : piece.data.length), 0);
  expect(gaps.length).toBeGreaterThan(0);
  expect(pieces[0]?.stream).toBe('stdout'); // what fitted on the way was on its way
  expect(bytes + gaps.reduce((sum, lost) => sum + lost, 0)).toBe(60_000_000);
  expect(step.value).toMatchObject({ id, state: 'exited', output: { end: 60_000_000, open: false } });
});

test('an output that came to its end before anybody read it is whole, for who reads a log and for who is attached', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const { id } = await client.processes.start({ command: ['echo', 'hello'], keepInput: false });
  await client.processes.wait(id, 60_000);
  const log = await client.processes.logs(id, { after: 0, follow: false });
  const attached = await client.processes.attach({ command: ['echo', 'hello'] });
  attached.stdin.end();
  await attached.exit;
  await client.health(); // what was on its way is here
  const read = [];
  for await (const pieces of log.read()) read.push(...pieces.map((piece) => String('data' in piece && piece.data)));
  expect(read).toEqual(['hello\n']);
  const output = [];
  for await (const pieces of attached.output)
    output.push(...pieces.map((piece) => String('data' in piece && piece.data)));
  expect(output).toEqual(['hello\n']);
});

test('processes that flood hold nobody else up, and can be ended', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const floods = await Promise.all(
    Array.from({ length: 8 }, () => client.processes.start({ command: ['yes'], keepInput: false })),
  );
  for (let i = 0; i < 50; i++) await client.health();
  const { output } = await client.processes.get(floods[0]?.id ?? newProcessId());
  expect(output.end - output.start).toBeLessThanOrEqual(1024 * 1024);
  for (const { id } of floods) {
    const target = { id };
    expect(await client.processes.kill({ target, signal: 'SIGTERM', graceMs: 10_000 })).toEqual({ found: 1, left: [] });
  }
});

test('a guest that stops takes what it runs along', async () => {
  const running = await runGuest();
  const client = await running.client();
  const { pid } = await client.processes.start({ command: ['sleep', '60'], keepInput: false });
  const attached = await client.processes.attach({ command: ['sleep', '60'] });
  await running[Symbol.asyncDispose]();
  await expect(attached.exit).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await until('they are dead', () => !isAlive(pid) && !isAlive(attached.info.pid));
});

test('a stopped process is killed as well', async () => {
  await using opened = await openTable();
  const { table, start } = opened;
  const { id, pid } = await start('sleep', '60');
  table.signal(id, 'SIGSTOP');
  await until('it is stopped', async () => (await table.list()).tree.find((row) => row.pid === pid)?.state === 'T');
  expect(await table.kill({ target: { id }, signal: 'SIGTERM', graceMs: 20_000 })).toEqual({ found: 1, left: [] });
  expect(table.get(id).info()).toMatchObject({ signal: 'SIGTERM' });
});

test('what has made a session of its own is found by its descent, and a process by its pid', async () => {
  await using opened = await openTable();
  const { table, start } = opened;
  const { id, pid } = await start('sh', '-c', 'setsid sleep 60 & wait');
  const child = await until('the child runs', async () =>
    (await table.list()).tree.find((row) => row.ppid === pid && row.command === 'sleep 60'),
  );
  expect(child.owner).toEqual({ kind: 'process', id });
  const answer = await table.kill({ target: { pid }, signal: 'SIGTERM', graceMs: 20_000 });
  expect(answer).toEqual({ found: 2, left: [] });
  await until('they are dead', () => !isAlive(child.pid));
});

test('a process that has left its session and lost its parent is found by its mark, also after the end of the first', async () => {
  await using opened = await openTable();
  const { table, start } = opened;
  const { id } = await start('sh', '-c', 'setsid sleep 612 </dev/null >/dev/null 2>&1 &');
  await table.get(id).over;
  const orphan = await until('it is an orphan', async () =>
    (await table.list()).tree.find(({ command, ppid }) => command === 'sleep 612' && ppid === 1),
  );
  expect(await table.kill({ target: { id }, signal: 'SIGTERM', graceMs: 20_000 })).toEqual({ found: 1, left: [] });
  await until('it is dead', () => !isAlive(orphan.pid));
});

test.each([
  ['by the process itself', ['setsid', '-f', 'sleep', '613']],
  ['by a shell, which has an order of its own', ['bash', '-c', 'setsid -f sleep 613; true']],
])('an orphan is found by its mark also in an environment of 200 KB, given %s', async (_who, command) => {
  await using opened = await openTable();
  const { table } = opened;
  const long = 'x'.repeat(100_000);
  const { id } = await table.start({ command, env: { 1: long, A_LONG: long }, keepInput: false });
  const orphan = await until('it is an orphan', async () =>
    (await table.list()).tree.find((row) => row.command === 'sleep 613' && row.ppid === 1),
  );
  const answer = await table.kill({ target: { id }, signal: 'SIGKILL', graceMs: 0 });
  if (answer.found === 0) process.kill(orphan.pid, 'SIGKILL');
  expect(answer).toEqual({ found: 1, left: [] });
});

test('where the number of a process belongs to another one by now, that one is not signalled', async () => {
  await using opened = await openTable();
  const { table, start } = opened;
  const { id } = await start('true');
  await table.get(id).over;
  const other = await start('sleep', '60');
  Object.defineProperty(table.get(id), 'pid', { value: other.pid });
  expect(() => table.signal(id, 'SIGKILL')).toThrow(expect.objectContaining({ code: 'PROCESS_ENDED' }));
  expect(await table.kill({ target: { id }, signal: 'SIGKILL', graceMs: 0 })).toEqual({ found: 0, left: [] });
  expect(isAlive(other.pid)).toBe(true);
});

test('what a caller says of its own mark counts for nothing', async () => {
  await using opened = await openTable();
  const { table } = opened;
  const env = { CAISSON_PROCESS_ID: 'prc-of-somebody-else' };
  const { id } = await table.start({ command: ['sh', '-c', 'echo $CAISSON_PROCESS_ID'], env, keepInput: false });
  await table.get(id).over;
  expect(
    table
      .outputOf(id)
      .log.read(0, 100)
      .pieces.map(({ data }) => data.toString()),
  ).toEqual([`${id}\n`]);
});
