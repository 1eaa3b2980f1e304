import { array, assert as holds, constantFrom, integer, nat, property, record, tuple, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { LogBudget } from '../../../src/guest/processes/log-budget.ts';
import { OutputLog } from '../../../src/guest/processes/output-log.ts';

const chunks = array(
  record({
    stream: constantFrom('stdout' as const, 'stderr' as const),
    bytes: uint8Array({ maxLength: 40 }),
    times: constantFrom(1, 1, 1, 300), // some are larger than what is put together
  }),
  { maxLength: 60 },
);

/** What was said, a byte at a time, with its stream. */
function said(pushed: readonly { stream: string; bytes: Uint8Array; times: number }[]) {
  return pushed.flatMap(({ stream, bytes, times }) =>
    Array.from({ length: times }, () => [...bytes].map((byte) => `${stream} ${byte}`)).flat(),
  );
}

test('the last bytes are kept in their order and with their stream, and each has its offset for ever', () => {
  holds(
    property(
      chunks,
      integer({ min: 1, max: 9_000 }),
      nat(),
      integer({ min: 1, max: 500 }),
      (pushed, limit, seed, batch) => {
        const log = new OutputLog(limit);
        const all = said(pushed);
        for (const { stream, bytes, times } of pushed) {
          log.push(stream, Buffer.concat(Array.from({ length: times }, () => bytes)));
        }
        expect(log.end).toBe(all.length);
        expect(log.bytes).toBeLessThanOrEqual(limit);
        const after = all.length === 0 ? 0 : seed % (all.length + 1);
        const read: string[] = [];
        let next = after;
        let lost = 0;
        while (next < log.end) {
          const batchRead = log.read(next, batch);
          lost += batchRead.lost;
          next = batchRead.next;
          for (const { stream, data } of batchRead.pieces) for (const byte of data) read.push(`${stream} ${byte}`);
        }
        expect(lost).toBe(Math.max(0, log.start - after));
        expect(read).toEqual(all.slice(after + lost));
      },
    ),
    { numRuns: 300 },
  );
});

test('what was read stays as it was, whatever comes after', () => {
  holds(
    property(chunks, chunks, (before, later) => {
      const log = new OutputLog(500);
      for (const { stream, bytes } of before) log.push(stream, Buffer.from(bytes));
      const { pieces } = log.read(log.start, 1_000);
      const copies = pieces.map(({ data }) => data.toString('hex'));
      for (const { stream, bytes } of later) log.push(stream, Buffer.from(bytes));
      expect(pieces.map(({ data }) => data.toString('hex'))).toEqual(copies);
    }),
  );
});

test('all of the limit is kept of one stream, however small the pieces were', () => {
  const log = new OutputLog(100_000);
  for (let i = 0; i < 250_000; i++) log.push('stdout', Buffer.from([i % 256]));
  expect(log.bytes).toBe(100_000);
  expect(log.read(0, 1).lost).toBe(150_000);
  expect(log.read(log.end - 1, 1).pieces[0]?.data[0]).toBe(249_999 % 256);
});

test('a stream that changes with every byte costs no more memory for it', () => {
  const log = new OutputLog(1024 * 1024);
  for (let i = 0; i < 100_000; i++) log.push(i % 2 === 0 ? 'stdout' : 'stderr', Buffer.from([i % 256]));
  expect(log.bytes).toBe(4_096); // a piece for each 256 bytes of the limit
  expect(log.read(0, 1).lost).toBe(100_000 - 4_096);
});

test('all logs together stay below the limit, and those that have ended give first', () => {
  holds(
    property(array(tuple(nat(5), integer({ min: 1, max: 200_000 })), { maxLength: 60 }), (pushes) => {
      const budget = new LogBudget(400_000);
      const logs = Array.from({ length: 6 }, () => new OutputLog(300_000));
      for (const log of logs) budget.add(log);
      budget.end(logs[0] as OutputLog);
      const bytes = (): number => logs.reduce((sum, log) => sum + log.bytes, 0);
      for (const [index, size] of pushes) {
        const before = logs.map((log) => log.bytes);
        budget.push(logs[index] as OutputLog, 'stdout', Buffer.alloc(size));
        expect(bytes()).toBeLessThanOrEqual(400_000);
        expect(budget.bytes).toBe(bytes());
        const gave = logs.some((log, at) => at !== 0 && at !== index && log.bytes < (before[at] ?? 0));
        if (gave) expect(logs[0]?.bytes).toBe(0);
      }
    }),
  );
});
