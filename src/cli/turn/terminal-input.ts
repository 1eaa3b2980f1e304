/** Where a person types. */
export interface TerminalInput extends Disposable {
  /** The next line, or undefined when there is no more (Ctrl-D, or the end of the input). Ends early with the signal, as undefined. */
  readLine(prompt: string, signal?: AbortSignal): Promise<string | undefined>;
  /** Calls back for Ctrl-C until it is disposed, instead of ending the process. The last one to ask is called. */
  onInterrupt(callback: () => void): Disposable;
}

/** The callbacks that wait for Ctrl-C. */
export class Interrupts {
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
