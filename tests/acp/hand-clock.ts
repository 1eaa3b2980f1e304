import type { Clock } from '../../src/kernel/clock.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that only a test moves. */
export class HandClock implements Clock {
  #now = 1_000_000;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Whether anything waits for its time. */
  get hasTimers(): boolean {
    return this.#timers.size > 0;
  }

  /** Timers that are due are called in their order, also those that were made on the way. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }
}
