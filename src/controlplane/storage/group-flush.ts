import { setImmediate as endOfTurn } from 'node:timers/promises';

/**
 * Brings what was written onto the disk, for many callers at a time: those that come while a flush is under way share the
 * next one, which begins after all that they wrote, and so do those that come in the same turn of the event loop: a run is
 * stored and begun in one. A failure is final: a disk that could not take what it was given may
 * have lost it, and a later flush would not tell.
 */
export class GroupFlush {
  readonly #flush: () => Promise<void>;
  #present: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** `flush` is never called twice at the same time. */
  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
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
    await this.#flush();
  }
}
