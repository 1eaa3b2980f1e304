import type { Clock } from './clock.ts';

/** How far the wall clock may step and still be followed at once, as a service that keeps it right lets it. */
const toleranceMs = 1_000;
/** How long the wall clock has to stand by what it says before it is certain. */
const standsMs = 10 * 60_000;

/**
 * Wall time for what ends by it. `now` never lets something go on that is over: it is what the wall clock says or, where that was set back,
 * what it said before and the time that has passed since. `certain` is for what cannot be taken back: it does not follow a
 * wall clock that is ahead for a moment. What the wall clock says is believed, in either direction, when it has said so for ten
 * minutes. It has to be looked at at least once in a minute.
 */
export class SteadyClock implements Clock {
  readonly #clock: Clock;
  /** What is believed: so it was, when this much had elapsed. */
  #anchor: { readonly at: number; readonly elapsed: number };
  /** Where the wall clock says something else: how far that is from what has elapsed, and since when it says so. */
  #aside: { readonly offset: number; readonly since: number } | undefined;
  /** From what had elapsed at the start on; undefined: it is certain. */
  #uncertainSince: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#anchor = { at: clock.now(), elapsed: clock.elapsed() };
    this.#uncertainSince = this.#anchor.elapsed;
  }

  now(): number {
    const { wall, believed } = this.#look();
    return Math.max(wall, believed);
  }

  /** Undefined until the wall clock has stood by what it says for ten minutes. */
  certain(): number | undefined {
    const { believed } = this.#look();
    return this.#uncertainSince === undefined ? believed : undefined;
  }

  elapsed(): number {
    return this.#clock.elapsed();
  }

  schedule(delayMs: number, callback: () => void): () => void {
    return this.#clock.schedule(delayMs, callback);
  }

  #look(): { readonly wall: number; readonly believed: number } {
    const wall = this.#clock.now();
    const elapsed = this.#clock.elapsed();
    const believed = this.#anchor.at + (elapsed - this.#anchor.elapsed);
    const offset = wall - elapsed;
    if (Math.abs(wall - believed) <= toleranceMs) {
      if (elapsed - (this.#uncertainSince ?? elapsed) >= standsMs) this.#uncertainSince = undefined;
      return this.#believe(wall, elapsed);
    }
    if (this.#aside === undefined || Math.abs(offset - this.#aside.offset) > toleranceMs) {
      this.#aside = { offset, since: elapsed };
    }
    if (elapsed - this.#aside.since < standsMs) return { wall, believed };
    this.#uncertainSince = undefined;
    return this.#believe(wall, elapsed);
  }

  #believe(wall: number, elapsed: number): { readonly wall: number; readonly believed: number } {
    this.#anchor = { at: wall, elapsed };
    this.#aside = undefined;
    return { wall, believed: wall };
  }
}
