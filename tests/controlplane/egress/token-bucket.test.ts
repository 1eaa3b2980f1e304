import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from '../../../src/controlplane/egress/token-bucket.ts';
import type { Clock } from '../../../src/kernel/clock.ts';

/** Time that passes when the test says so. */
class HeldClock implements Clock {
  #time = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#time;
  }

  elapsed(): number {
    return this.#time;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#time + delayMs, callback };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((each) => each !== timer));
  }

  async pass(ms: number): Promise<void> {
    const end = this.#time + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#time = Math.max(this.#time, next.at);
      next.callback();
      await Promise.resolve();
    }
    this.#time = end;
  }
}

test('never more goes through than the rate and one burst, and all of it in the order in which it came', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 60 }), async (sizes) => {
      const clock = new HeldClock();
      using bucket = new TokenBucket(1_000, clock);
      const gone: number[] = [];
      let bytes = 0;
      let late = 0;
      for (const [index, size] of sizes.entries()) {
        const go = (): void => {
          gone.push(index);
          // What goes may be too much by itself, not by what went before it.
          late = Math.max(late, bytes - (1_000 + clock.elapsed()));
          bytes += size;
        };
        const held = bucket.take(size);
        if (held === undefined) go();
        else void held.then(go);
        await clock.pass(7);
      }
      await clock.pass(400_000);
      expect(gone).toEqual(sizes.map((_, index) => index));
      expect(late).toBeLessThanOrEqual(0);
    }),
    { numRuns: 200 },
  );
});

test('a bucket that has rested is full, and no fuller', async () => {
  const clock = new HeldClock();
  using bucket = new TokenBucket(1_000, clock);
  void bucket.take(600);
  expect(bucket.isFull).toBe(false);
  await clock.pass(10_000);
  expect(bucket.isFull).toBe(true);
  expect(bucket.take(1_000)).toBeUndefined();
  expect(bucket.take(1)).toBeInstanceOf(Promise);
});

test('what waits when it is disposed of is let go', async () => {
  const bucket = new TokenBucket(1, new HeldClock());
  void bucket.take(100);
  const held = bucket.take(1);
  bucket[Symbol.dispose]();
  await held;
});
