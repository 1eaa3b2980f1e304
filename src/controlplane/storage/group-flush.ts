import { CaissonError } from '../../kernel/errors.ts';
import { setImmediate as endOfTurn } from 'node:timers/promises';

/**
 * Brings what was written onto the disk, for many callers at a time. Those that come in one turn of the event loop share a
 * flush: a run is stored and begun in one. Those that come while a flush is under way share the next one, which begins
 * after all that they wrote. A failure is final: a disk that could not take what it was given may have lost it, and a later
 * flush would not tell.
 */
export class GroupFlush {
  /** Resolves, never rejects, when a flush has failed: from then on nothing can be promised any more. */
  readonly failed: Promise<CaissonError>;
  readonly #fail: (error: CaissonError) => void;
  readonly #flush: () => Promise<void>;
  #present: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** `flush` is never called twice at the same time. */
  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
    const { promise, resolve } = Promise.withResolvers<CaissonError>();
    this.failed = promise;
    this.#fail = resolve;
  }

  /** Resolves when all that was written before the call is on the disk. */
  flushed(): Promise<void> {
    return (this.#next ??= this.#afterPresent());
  }

  async #afterPresent(): Promise<void> {
    await this.#present;
    await endOfTurn();
    this.#present = this.#next ?? this.#present;
    this.#next = undefined;
    try {
      await this.#flush();
    } catch (cause) {
      const error = new CaissonError('STORAGE_UNAVAILABLE', 'The disk did not take what was stored.', {
        hint: 'Check the disk of the data directory, then start Caisson again.',
        cause,
      });
      this.#fail(error);
      throw error;
    }
  }
}
