import type { Clock } from '../../kernel/clock.ts';

/** Messages that may go out one right after the other, and how soon each further one may follow. */
const burst = 8;
const everyMs = 4;

/**
 * When output goes out. What comes now and then (the echo of a key) goes at the end of this turn of the event loop; a program
 * that prints without end gets one flush every 4 ms, so that many small writes leave as one.
 */
export class BurstGate {
  readonly #clock: Clock;
  readonly #flush: () => void;
  #left = burst;
  #countedAt: number;
  #isScheduled = false;

  constructor(clock: Clock, flush: () => void) {
    this.#clock = clock;
    this.#flush = flush;
    this.#countedAt = clock.elapsed();
  }

  /** Somebody typed: what is printed next is the answer, and does not wait. */
  favour(): void {
    this.#left = Math.min(burst, this.#left + 1);
  }

  /** Calls `flush` once, in this turn or soon. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const now = this.#clock.elapsed();
    this.#left = Math.min(burst, this.#left + (now - this.#countedAt) / everyMs);
    this.#countedAt = now;
    if (this.#left >= 1) {
      this.#left -= 1;
      setImmediate(() => this.#open());
    } else {
      this.#clock.schedule(everyMs, () => this.#open());
    }
  }

  #open(): void {
    this.#isScheduled = false;
    this.#flush();
  }
}
