import { createInterface, type Interface } from 'node:readline';
import { exitCodes } from '../exit-codes.ts';
import { MessageLines } from './message-lines.ts';
import { KeyCallbacks, type TerminalInput } from './terminal-input.ts';

/** A script that types: a file or pipe on stdin, a line at a time. No prompt is shown. */
export class PipedInput implements TerminalInput {
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #interrupts = new KeyCallbacks();
  /** Asked for by a call that ended early; it belongs to the next. */
  #next: Promise<IteratorResult<string>> | undefined;

  constructor() {
    this.#interface = createInterface({ input: process.stdin, terminal: false });
    this.#lines = this.#interface[Symbol.asyncIterator]();
    process.on('SIGINT', this.#onSignal);
  }

  async readMessage(): Promise<string | undefined> {
    const lines = new MessageLines();
    for (;;) {
      const line = await this.#readLine();
      if (line === undefined) return lines.soFar.length === 0 ? undefined : lines.take();
      const message = lines.add(line);
      if (message !== undefined) return message;
    }
  }

  async readAnswer(_prompt: string, signal: AbortSignal): Promise<string | undefined> {
    return signal.aborted ? undefined : await this.#readLine(signal);
  }

  onInterrupt(callback: () => void): Disposable {
    return this.#interrupts.add(callback);
  }

  /** A script that has said all it has to say waits for the end of the turn. */
  onLeave(): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#onSignal);
    this.#interface.close();
  }

  async #readLine(signal?: AbortSignal): Promise<string | undefined> {
    this.#next ??= this.#lines.next();
    const { promise: left, resolve: leave } = Promise.withResolvers<undefined>();
    const onAbort = (): void => leave(undefined);
    signal?.addEventListener('abort', onAbort, { once: true });
    const line = await Promise.race([this.#next, left]);
    signal?.removeEventListener('abort', onAbort);
    if (line === undefined) return undefined;
    this.#next = undefined;
    return line.done === true ? undefined : line.value;
  }

  readonly #onSignal = (): void => {
    if (!this.#interrupts.fire()) process.exit(exitCodes.interrupted);
  };
}
