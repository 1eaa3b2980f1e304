import type { Writable } from 'node:stream';

/**
 * Input on its way to a process, which may not be there yet. One write goes at a time, and what comes meanwhile is put
 * together: a thousand messages of a byte cost a thousand bytes. The caller bounds how much that is.
 */
export class InputRelay {
  readonly #onTaken: (bytes: number) => void;
  #stdin: Writable | undefined;
  #isWriting = false;
  #isEnding = false;
  #memory = Buffer.alloc(0);
  #length = 0;

  /** `onTaken` is told what the process took, or never will: its end tells that. */
  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  write(data: Buffer): void {
    if (this.#isEnding) return this.#onTaken(data.length);
    if (data.length === 0) return;
    if (this.#stdin === undefined || this.#isWriting) this.#keep(data);
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
    if (this.#length > 0) {
      const data = this.#memory.subarray(0, this.#length);
      this.#memory = Buffer.alloc(0);
      this.#length = 0;
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

  #keep(data: Buffer): void {
    const needed = this.#length + data.length;
    if (needed > this.#memory.length) {
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      this.#memory.copy(larger, 0, 0, this.#length);
      this.#memory = larger;
    }
    data.copy(this.#memory, this.#length);
    this.#length = needed;
  }
}
