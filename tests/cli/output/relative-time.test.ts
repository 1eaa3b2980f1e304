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
