import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long a walk may keep the event loop: everything else that the guest does waits for it. */
const sliceMs = 4;

/** Cuts long work made of short synchronous steps into slices. */
export class Pacer {
  readonly #signal: AbortSignal | undefined;
  #until = performance.now() + sliceMs;

  /** Work ends with the signal's reason at its next step. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether to await `rest` before the next step. */
  get isDue(): boolean {
    return performance.now() > this.#until;
  }

  async rest(): Promise<void> {
    this.#signal?.throwIfAborted();
    await nextTurn();
    this.#signal?.throwIfAborted();
    this.#until = performance.now() + sliceMs;
  }
}
