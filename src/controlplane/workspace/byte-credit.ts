import { CaissonError } from '../../kernel/errors.ts';

/** How much may be sent that the other end has not yet taken. One sender at a time. */
export class ByteCredit {
  readonly #window: number;
  readonly #signal: AbortSignal;
  #sent = 0;
  #taken = 0;
  #wake: (() => void) | undefined;

  /** `signal`: nobody takes any more. */
  constructor(window: number, signal: AbortSignal) {
    this.#window = window;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake?.());
  }

  /** Resolves when the window has room, and counts `bytes` as sent: they may overrun it once. Rejects as the signal aborts. */
  async take(bytes: number): Promise<void> {
    while (this.#sent - this.#taken >= this.#window && !this.#signal.aborted) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    this.#signal.throwIfAborted();
    this.#sent += bytes;
  }

  /** The other end has taken so many in all. @throws BAD_REQUEST for more than were sent, or fewer than before. */
  give(taken: number): void {
    if (taken < this.#taken || taken > this.#sent) {
      throw new CaissonError('BAD_REQUEST', `${taken} bytes cannot have been taken: ${this.#sent} were sent.`);
    }
    this.#taken = taken;
    this.#wake?.();
  }
}
