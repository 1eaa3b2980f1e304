import { Writable } from 'node:stream';

/** What is needed of a terminal. */
export interface Terminal {
  readonly columns: number;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/**
 * The terminal as the line editor sees it: while `isShown` is false nothing of what it draws gets there, and it has no
 * columns, so that it does not reckon with rows that are not there.
 */
export class PromptScreen extends Writable {
  isShown = false;
  readonly #terminal: Terminal;
  readonly #onResize = (): void => void this.emit('resize');

  constructor(terminal: Terminal) {
    super({ decodeStrings: false });
    this.#terminal = terminal;
    terminal.on('resize', this.#onResize);
  }

  get columns(): number {
    return this.isShown ? this.#terminal.columns : Number.POSITIVE_INFINITY;
  }

  override _write(text: string, _encoding: BufferEncoding, done: () => void): void {
    if (this.isShown) this.#terminal.write(text);
    done(); // at once, so that it is shown or not by what holds now
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#terminal.off('resize', this.#onResize);
    done(error);
  }
}
