import { createInterface } from 'node:readline';
import { exitCodes } from '../exit-codes.ts';
import type { Sink } from '../output/sink.ts';
import { Interrupts, type TerminalInput } from './terminal-input.ts';

const ctrlC = 0x03;
/** Lines that can be called back with the up arrow. */
const historySize = 200;

/**
 * A person at a terminal. Between two lines the terminal is kept quiet: keys are not echoed into what the agent says, and
 * Ctrl-C is heard all the same.
 */
export class Keyboard implements TerminalInput {
  readonly #sink: Sink;
  readonly #stream: NodeJS.WriteStream;
  readonly #interrupts = new Interrupts();
  #history: string[] = [];

  /** Prompts are written to the stream of `sink`. */
  constructor(sink: Sink, stream: NodeJS.WriteStream) {
    this.#sink = sink;
    this.#stream = stream;
    this.#listen();
  }

  async readLine(prompt: string, signal?: AbortSignal): Promise<string | undefined> {
    if (signal?.aborted === true) return undefined;
    this.#stopListening();
    const terminal = createInterface({
      input: process.stdin,
      output: this.#stream,
      terminal: true,
      prompt,
      history: this.#history,
      historySize,
      removeHistoryDuplicates: true,
    });
    terminal.on('history', (history) => {
      this.#history = history;
    });
    try {
      return await new Promise<string | undefined>((resolve) => {
        terminal.once('line', resolve);
        terminal.once('close', () => resolve(undefined));
        terminal.on('SIGINT', () => this.#interruptLine(terminal));
        signal?.addEventListener('abort', () => resolve(undefined), { once: true });
        terminal.prompt();
      });
    } finally {
      terminal.close();
      this.#listen();
    }
  }

  onInterrupt(callback: () => void): Disposable {
    return this.#interrupts.add(callback);
  }

  [Symbol.dispose](): void {
    this.#stopListening();
  }

  /** Ctrl-C while a line is typed: for whoever waits for it, else it empties the line. */
  #interruptLine(terminal: {
    readonly line: string;
    write(data: null, key: { ctrl: true; name: string }): void;
    prompt(): void;
  }): void {
    if (this.#interrupts.fire()) return;
    if (terminal.line !== '') {
      terminal.write(null, { ctrl: true, name: 'e' });
      terminal.write(null, { ctrl: true, name: 'u' });
      return;
    }
    void this.#sink.write(`\n${this.#sink.style('dim', '(Ctrl-D leaves)')}\n`).then(() => terminal.prompt());
  }

  readonly #onKeys = (keys: Buffer): void => {
    if (keys.includes(ctrlC) && !this.#interrupts.fire()) {
      this.#stopListening();
      process.exit(exitCodes.interrupted);
    }
  };

  #listen(): void {
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#onKeys);
    process.stdin.resume();
  }

  #stopListening(): void {
    process.stdin.off('data', this.#onKeys);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}
