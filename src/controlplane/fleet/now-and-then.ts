import type { Clock } from '../../kernel/clock.ts';

/** Lets something through at once, and then once in `everyMs` at most. */
export class NowAndThen {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #last = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** True when it is time, which then begins anew. */
  isDue(): boolean {
    const now = this.#clock.elapsed();
    if (now - this.#last < this.#everyMs) return false;
    this.#last = now;
    return true;
  }
}
