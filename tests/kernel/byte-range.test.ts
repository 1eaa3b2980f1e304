import { assert, nat, option, property, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { parseRange } from '../../src/kernel/byte-range.ts';

test.each([
  ['bytes=0-0', 10, { start: 0, end: 1 }],
  ['bytes=5-', 10, { start: 5, end: 10 }],
  ['bytes=-4', 10, { start: 6, end: 10 }],
  ['bytes=-40', 10, { start: 0, end: 10 }],
  ['bytes=2-99', 10, { start: 2, end: 10 }],
  ['bytes=2-9007199254740990', 10, { start: 2, end: 10 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=4-2', 10, 'whole'],
  ['bytes=0-1,3-4', 10, 'whole'],
  ['lines=0-1', 10, 'whole'],
  ['bytes=-', 10, 'whole'],
  ['bytes=1e3-', 10, 'whole'],
  [undefined, 10, 'whole'],
] as const)('%s of %i bytes', (header, size, expected) => {
  expect(parseRange(header, size)).toEqual(expected);
});

test('a range never leaves the file, and holds what was asked for', () => {
  assert(
    property(tuple(option(nat()), option(nat()), nat()), ([first, last, size]) => {
      const range = parseRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
      if (typeof range === 'string') return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.end).toBeGreaterThan(range.start);
      expect(range.end).toBeLessThanOrEqual(size);
      if (first !== null) expect(range.start).toBe(first);
      if (first !== null && last !== null) expect(range.end).toBe(Math.min(last + 1, size));
    }),
  );
});
