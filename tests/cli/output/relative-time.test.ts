import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isoTime, relativeTime } from '../../../src/cli/output/relative-time.ts';

test('every number has a text, also one that is no date', () => {
  fc.assert(
    fc.property(fc.oneof(fc.double(), fc.maxSafeInteger()), fc.maxSafeInteger(), (at, now) => {
      expect(relativeTime(at, now)).not.toBe('');
    }),
  );
  for (const at of [9_007_199_254_740_991, -9_007_199_254_740_991, Number.NaN, Infinity]) {
    expect(relativeTime(at, 1_760_000_000_000)).toBe('at no known time');
    expect(isoTime(at)).toBeUndefined();
  }
  expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z');
});

test.for([
  [8 * 3_600_000 - 40, 'in 8 h'],
  [3_600_000 - 1, 'in 1 h'],
  [7 * 86_400_000 - 900, 'in 7 d'],
  [89_000, 'in 1 min'],
  [59_400, 'in 59 s'],
  [-(8 * 3_600_000 - 40), '7 h ago'],
] as const)(
  'what is to come is rounded, so that a moment later it still has the time it was given: %i ms',
  ([ms, text]) => {
    const now = 1_760_000_000_000;
    expect(relativeTime(now + ms, now)).toBe(text);
  },
);
