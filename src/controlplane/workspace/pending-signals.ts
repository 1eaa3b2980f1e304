import type { SignalName } from '../../wire/contract/processes.ts';

/**
 * Signals on their way to a process, in order and one call at a time; they wait for the process to be there. As in the kernel,
 * one that waits already is not added again: so there are never more than there are signals.
 */
export class PendingSignals {
  readonly #waiting = new Set<SignalName>();
  #send: ((signal: SignalName) => Promise<void>) | undefined;
  #isSending = false;

  add(signal: SignalName): void {
    this.#waiting.add(signal);
    void this.#sendAll();
  }

  /** The process is there. */
  begin(send: (signal: SignalName) => Promise<void>): void {
    this.#send = send;
    void this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    if (this.#send === undefined || this.#isSending) return;
    this.#isSending = true;
    for (const signal of this.#waiting) {
      this.#waiting.delete(signal);
      await this.#send(signal).catch(() => undefined); // that the process or the wire is gone is told by its stream
    }
    this.#isSending = false;
  }
}
