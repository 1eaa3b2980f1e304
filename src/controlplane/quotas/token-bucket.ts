/** Sums of fractions are a little off: who waited as long as it was told must get through. */
const rounding = 1e-6;

/**
 * Lets `perMinute` through in any minute that begins with a full bucket, and as many a minute from then on. Times are
 * milliseconds of a clock that never jumps.
 */
export class TokenBucket {
  #tokens: number;
  #at: number;

  constructor(perMinute: number, now: number) {
    this.#tokens = perMinute;
    this.#at = now;
  }

  /** Takes `count` if they are there: then 0. Else takes nothing, and says in how many milliseconds they will be. */
  take(count: number, { perMinute, now }: { readonly perMinute: number; readonly now: number }): number {
    const sinceMs = Math.max(0, now - this.#at); // whatever the clock does, nothing is taken away
    this.#tokens = Math.min(perMinute, this.#tokens + (sinceMs * perMinute) / 60_000);
    this.#at = now;
    if (count <= this.#tokens + rounding) {
      this.#tokens = Math.max(0, this.#tokens - count);
      return 0;
    }
    return perMinute === 0 ? 60_000 : Math.ceil(((count - this.#tokens) * 60_000) / perMinute);
  }

  /** For what was taken, and not used. */
  giveBack(count: number): void {
    this.#tokens += count;
  }
}
