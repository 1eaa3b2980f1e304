import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from '../../../src/controlplane/quotas/token-bucket.ts';

const asked = fc.record({ after: fc.nat(20_000), count: fc.integer({ min: 1, max: 20 }) });

test('whatever is asked for, no more gets through than a full bucket and what has come since', () => {
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 100 }), fc.integer({ min: 1, max: 200 }), (calls, perMinute) => {
      let now = 1_000;
      const bucket = new TokenBucket(perMinute, now);
      let taken = 0;
      for (const { after, count } of calls) {
        now += after;
        if (bucket.take(count, { perMinute, now }) === 0) taken += count;
        expect(taken).toBeLessThanOrEqual(perMinute + ((now - 1_000) * perMinute) / 60_000 + 1e-6);
      }
    }),
  );
});

test('who waits as long as it is told gets through', () => {
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 50 }), fc.integer({ min: 20, max: 200 }), (calls, perMinute) => {
      let now = 0;
      const bucket = new TokenBucket(perMinute, now);
      for (const { after, count } of calls) {
        now += after;
        const waitMs = bucket.take(count, { perMinute, now });
        if (waitMs === 0) continue;
        now += waitMs;
        expect(bucket.take(count, { perMinute, now })).toBe(0);
      }
    }),
  );
});

test('a limit that changes holds at once', () => {
  const bucket = new TokenBucket(100, 0);
  expect(bucket.take(10, { perMinute: 5, now: 0 })).toBeGreaterThan(0);
  expect(bucket.take(5, { perMinute: 5, now: 0 })).toBe(0);
  expect(bucket.take(1, { perMinute: 0, now: 0 })).toBe(60_000);
});

test('a clock that goes back takes nothing away, and gives nothing', () => {
  const bucket = new TokenBucket(60, 3_600_000);
  expect(bucket.take(50, { perMinute: 60, now: 3_600_000 })).toBe(0);
  expect(bucket.take(10, { perMinute: 60, now: 0 })).toBe(0);
  expect(bucket.take(1, { perMinute: 60, now: 0 })).toBe(1_000);
});
