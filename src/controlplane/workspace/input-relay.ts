import type { Writable } from 'node:stream';
import { GatheredBytes } from '../../kernel/gathered-bytes.ts';

/**
 * Input on its way to a process, which may not be there yet. One write goes at a time, and what comes meanwhile is put
 * together: a thousand messages of a byte cost a thousand bytes. The caller bounds how much that is.
 */
export class InputRelay {
  readonly #onTaken: (bytes: number) => void;
  #stdin: Writable | undefined;
  #isWriting = false;
  #isEnding = false;
  readonly #kept = new GatheredBytes();

  /** `onTaken` is told what the process took, or never will: its end tells that. */
  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  write(data: Buffer): void {
    if (this.#isEnding) return this.#onTaken(data.length);
    if (data.length === 0) return;
    if (this.#stdin === undefined || this.#isWriting) this.#kept.add(data);
    else this.#put(this.#stdin, data);
  }

  /** After what was written. */
  end(): void {
    this.#isEnding = true;
    this.#next();
  }

  /** The process is there. */
  begin(stdin: Writable): void {
    this.#stdin = stdin;
    this.#next();
  }

  #next(): void {
    if (this.#stdin === undefined || this.#isWriting) return;
    if (this.#kept.length > 0) {
      const data = this.#kept.bytes;
      this.#kept.clear();
      this.#put(this.#stdin, data);
    } else if (this.#isEnding) this.#stdin.end();
  }

  #put(stdin: Writable, data: Buffer): void {
    const taken = (): void => {
      this.#isWriting = false;
      this.#onTaken(data.length);
      this.#next();
    };
    if (!stdin.writable) return taken();
    this.#isWriting = true;
    stdin.write(data, taken);
  }
}
