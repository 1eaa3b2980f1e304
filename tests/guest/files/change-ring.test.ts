import { array, assert, constantFrom, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { ChangeRing } from '../../../src/guest/files/change-ring.ts';
import type { WatchChange } from '../../../src/wire/contract/files.ts';

const ringSize = 8_192;
const changes = (from: number, count: number): WatchChange[] =>
  Array.from({ length: count }, (_, at) => ({ path: `/${from + at}`, kind: 'changed', type: 'file' }));

/** Reads to the end; `overflow` where the ring says that changes are gone. */
function readAll(ring: ChangeRing, from: number): { paths: string[]; overflows: number; seq: number } {
  const paths: string[] = [];
  let overflows = 0;
  let seq = from;
  for (let next = ring.next(seq); next !== undefined; next = ring.next(seq)) {
    if (next.item.type === 'changes') paths.push(...next.item.changes.map(({ path }) => path));
    else overflows += 1;
    ({ seq } = next);
  }
  return { paths, overflows, seq };
}

test('a reader who stops at any point gets all that came since, once and in order, or is told that some is lost', () => {
  const step = constantFrom('push', 'burst', 'lose', 'read');
  assert(
    property(array(step, { maxLength: 40 }), integer({ min: 1, max: 3_000 }), (steps, burst) => {
      const ring = new ChangeRing('ab');
      let pushed = 0;
      let seen = 0;
      let seq = ring.last;
      let wasLost = false;
      for (const one of [...steps, 'read']) {
        if (one === 'read') {
          const resumed = ring.resume(ring.cursor(seq));
          const read = readAll(ring, seq);
          // A cursor is resumed exactly where nothing is missing.
          expect(resumed).toBe(read.overflows === 0 ? seq : undefined);
          if (read.overflows === 0) {
            expect(wasLost).toBe(false);
            expect(read.paths).toEqual(changes(seen, pushed - seen).map(({ path }) => path));
          } else {
            expect(read.overflows).toBe(1);
            expect(wasLost || pushed - seen > ringSize).toBe(true);
            expect(read.paths).toEqual([]);
          }
          ({ seq } = read);
          expect(seq).toBe(ring.last);
          [seen, wasLost] = [pushed, false];
        } else if (one === 'lose') {
          ring.lose();
          wasLost = true;
        } else {
          const count = one === 'push' ? 1 : burst;
          ring.push(changes(pushed, count));
          pushed += count;
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('the last 8,192 changes are there', () => {
  const ring = new ChangeRing('ab');
  for (let at = 0; at < 50_000; at += 1_000) ring.push(changes(at, 1_000));
  const oldest = ring.last - ringSize;
  expect(ring.resume(ring.cursor(oldest))).toBe(oldest);
  expect(readAll(ring, oldest).paths).toHaveLength(ringSize);
});

test('a cursor of the future, one that is too old, of another ring, or none is not resumed', () => {
  const ring = new ChangeRing('ab');
  for (let at = 0; at < 50_000; at += 1_000) ring.push(changes(at, 1_000));
  expect(ring.resume(ring.cursor(ring.last))).toBe(ring.last);
  for (const cursor of [
    ring.cursor(ring.last + 1),
    ring.cursor(0),
    ring.cursor(1),
    'cd.50000',
    'ab.',
    'ab.-1',
    '',
    null,
  ])
    expect(ring.resume(cursor)).toBeUndefined();
});

test('a reader who is too slow is told so once, and goes on from there', () => {
  const ring = new ChangeRing('ab');
  for (let at = 0; at < 50_000; at += 1_000) ring.push(changes(at, 1_000));
  expect(ring.next(0)).toEqual({ item: { type: 'overflow', cursor: ring.cursor(ring.last) }, seq: ring.last });
  expect(ring.next(ring.last)).toBeUndefined();
});
