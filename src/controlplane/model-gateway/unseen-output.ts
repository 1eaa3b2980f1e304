import type { Clock } from '../../kernel/clock.ts';

/** Models that reason write some 50 to 200 tokens a second. */
const tokensPerSecond = 100;
/** No model writes more in one answer. */
const mostTokens = 128_000;
/** Deltas of an answer follow one another within this. Milliseconds. */
const paceMs = 2_000;

/**
 * What a model may have written without showing it, as when it reasons unseen: by the time in which nothing was seen of it, since the
 * service has the request. Silence shorter than 2 s is the pace of any answer, and is none. Counted for a guest that breaks
 * an answer off, which is told no usage. It cannot be known, so it is what a quick model would have written.
 */
export class UnseenOutput {
  readonly #clock: Clock;
  #since: number;
  #silentMs = 0;
  #seen = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.elapsed();
  }

  /** The request was not there before: something of it came just now. */
  restart(): void {
    this.#since = this.#clock.elapsed();
    this.#silentMs = 0;
  }

  /** So many tokens of the answer were seen. */
  saw(tokens: number): void {
    if (tokens === this.#seen) return;
    this.#seen = tokens;
    this.#silentMs = this.#silence();
    this.#since = this.#clock.elapsed();
  }

  /** At this moment. */
  get tokens(): number {
    return Math.min(mostTokens, Math.floor((this.#silence() / 1_000) * tokensPerSecond));
  }

  /** In milliseconds. */
  #silence(): number {
    const present = this.#clock.elapsed() - this.#since;
    return this.#silentMs + (present < paceMs ? 0 : present);
  }
}
