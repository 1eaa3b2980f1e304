import type { Clock } from '../../kernel/clock.ts';
import { deadline, orAbort } from '../../kernel/deadline.ts';
import type { CaissonError } from '../../kernel/errors.ts';
import { pause } from '../../kernel/pause.ts';

/** A fault that lasted this long is told to those who wait: an engine or a disk may be gone for hours. */
const faultPatienceMs = 5_000;
/** How long they wait at most. A guest that is silent is stopped within half of it. */
const patienceMs = 120_000;
/** Between two attempts, however many ask. */
const leastRestMs = 1_000;

/** Why it is not known whether a sandbox lives, while it is looked for. */
export class Doubt {
  readonly #clock: Clock;
  #reason: CaissonError | undefined;
  #faultySince: number | undefined;
  #givenUp = new AbortController();
  /** Cuts the rest before the next attempt short. */
  #wake = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * An attempt that began at `since` has failed: by the silence of the guest, which may be back at any moment, or by a fault
   * of what stands around it.
   */
  grow(reason: CaissonError, { isFault, since }: { readonly isFault: boolean; readonly since: number }): void {
    this.#reason = reason;
    this.#wake = new AbortController();
    this.#faultySince = isFault ? (this.#faultySince ?? since) : undefined;
    if (this.#faultySince === undefined || this.#clock.elapsed() - this.#faultySince < faultPatienceMs) return;
    this.#givenUp.abort(reason);
  }

  /**
   * Between two attempts: `ms`, or a second where somebody comes meanwhile to whom only an old failure could be told. Rejects
   * with the signal's reason.
   */
  async rest(ms: number, signal: AbortSignal): Promise<void> {
    const wake = AbortSignal.any([signal, this.#wake.signal]);
    await pause(this.#clock, Math.min(ms, leastRestMs), signal);
    if (ms > leastRestMs) await pause(this.#clock, ms - leastRestMs, wake).catch(() => signal.throwIfAborted());
  }

  /**
   * What comes out of the search; or, after 5 s of a fault or 120 s in all, a rejection with its last failure. Who comes after
   * so long a fault waits for one more attempt, since it may be over.
   */
  async endure<T>(outcome: Promise<T>): Promise<T> {
    if (this.#givenUp.signal.aborted) {
      this.#givenUp = new AbortController();
      this.#wake.abort();
    }
    using limit = deadline(patienceMs, 'Looking for the sandbox', this.#givenUp.signal);
    try {
      return await orAbort(outcome, limit.signal);
    } catch (thrown) {
      throw limit.signal.aborted ? (this.#reason ?? thrown) : thrown;
    }
  }
}
