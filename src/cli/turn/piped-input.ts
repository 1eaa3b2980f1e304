import { createInterface, type Interface } from 'node:readline';
import { exitCodes } from '../exit-codes.ts';
import { Interrupts, type TerminalInput } from './terminal-input.ts';

/** A script that types: a file or pipe on stdin, a line at a time. No prompt is shown. */
export class PipedInput implements TerminalInput {
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #interrupts = new Interrupts();
  /** Asked for by a call that ended early; it belongs to the next. */
  #next: Promise<IteratorResult<string>> | undefined;

  constructor() {
    this.#interface = createInterface({ input: process.stdin, terminal: false });
    this.#lines = this.#interface[Symbol.asyncIterator]();
    process.on('SIGINT', this.#onSignal);
  }

  async readLine(_prompt: string, signal?: AbortSignal): Promise<string | undefined> {
    if (signal?.aborted === true) return undefined;
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

  onInterrupt(callback: () => void): Disposable {
    return this.#interrupts.add(callback);
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#onSignal);
    this.#interface.close();
  }

  readonly #onSignal = (): void => {
    if (!this.#interrupts.fire()) process.exit(exitCodes.interrupted);
  };
}
