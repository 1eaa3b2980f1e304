/** Where a person types. */
export interface TerminalInput extends Disposable {
  /**
   * The next message, typed now or ahead: a line, with those after it while they end with a backslash or belong to one
   * paste. Undefined when there is no more (Ctrl-D, or the end of the input).
   */
  readMessage(): Promise<string | undefined>;
  /**
   * The answer to a question: a line that is typed after it was asked. Undefined when there is none (Ctrl-D, or the end of
   * the input), and when the signal aborts first.
   */
  readAnswer(prompt: string, signal: AbortSignal): Promise<string | undefined>;
  /** Calls back for Ctrl-C until it is disposed, instead of ending the process. The last one to ask is called. */
  onInterrupt(callback: () => void): Disposable;
  /** Calls back for Ctrl-D while nothing is asked, until it is disposed. The last one to ask is called. */
  onLeave(callback: () => void): Disposable;
}

/** The callbacks that wait for a key. */
export class KeyCallbacks {
  #callbacks: (() => void)[] = [];

  add(callback: () => void): Disposable {
    this.#callbacks.push(callback);
    return {
      [Symbol.dispose]: () => {
        this.#callbacks = this.#callbacks.filter((other) => other !== callback);
      },
    };
  }

  /** Whether somebody was called. */
  fire(): boolean {
    const callback = this.#callbacks.at(-1);
    callback?.();
    return callback !== undefined;
  }
}
