import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { durationText, readDuration } from '../../src/kernel/duration.ts';

test.for([
  ['500ms', 500],
  ['90s', 90_000],
  ['1.5h', 5_400_000],
  ['10min', 600_000],
  ['7d', 604_800_000],
  ['5', undefined],
  ['1w', undefined],
  ['1d 2h', undefined],
  ['', undefined],
] as const)('%s is %s ms', ([text, ms]) => {
  expect(readDuration(text)).toBe(ms);
});

test('a time is written in its largest unit, and is read back as the same', () => {
  expect([0, 1_500, 5_400_000, 129_600_000, 604_800_000].map(durationText)).toEqual([
    '0ms',
    '1500ms',
    '90m',
    '36h',
    '7d',
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999 }), (ms) => {
      expect(readDuration(durationText(ms))).toBe(ms);
    }),
  );
});
