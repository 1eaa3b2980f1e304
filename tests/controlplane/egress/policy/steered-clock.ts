import type { Clock } from '../../../../src/kernel/clock.ts';

/** Time that stands still until a test moves it. */
export class SteeredClock implements Clock {
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  #now = 1_760_000_000_000;
  #elapsed = 0;

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#elapsed + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Time passes, and what is due is called. */
  advance(ms: number): void {
    this.#now += ms;
    this.#elapsed += ms;
    for (const timer of this.#timers) {
      if (timer.at <= this.#elapsed && this.#timers.delete(timer)) timer.callback();
    }
  }

  /** The wall clock is set to another time. */
  jump(ms: number): void {
    this.#now += ms;
  }
}
