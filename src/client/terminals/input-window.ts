import type { CaissonError } from '../../kernel/errors.ts';

/** `terminalBounds.inputWindowBytes` and `inputChunkBytes` of the contract. */
const windowBytes = 128 * 1024;
const chunkBytes = 64 * 1024;

interface Waiting {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly resolve: () => void;
  readonly reject: (error: CaissonError) => void;
}

/**
 * Input on its way: at most a window of it is sent before the terminal has taken it, further writes wait in order. While no
 * connection is open all of them wait; what was sent when one broke is not sent again, since it may have arrived.
 */
export class InputWindow {
  #waiting: Waiting[] = [];
  #send: ((bytes: Uint8Array<ArrayBuffer>) => void) | undefined;
  #sent = 0;
  #accepted = 0;

  /** Resolves when `data` was sent. */
  write(data: Uint8Array): Promise<void> {
    const pieces: Promise<void>[] = [];
    for (let at = 0; at < data.length; at += chunkBytes) {
      const bytes = data.slice(at, at + chunkBytes);
      pieces.push(new Promise((resolve, reject) => this.#waiting.push({ bytes, resolve, reject })));
    }
    this.#flush();
    return Promise.all(pieces).then(() => undefined);
  }

  /** A new connection counts from nothing. */
  connect(send: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    this.#send = send;
    this.#sent = 0;
    this.#accepted = 0;
    this.#flush();
  }

  disconnect(): void {
    this.#send = undefined;
  }

  accepted(bytes: number): void {
    this.#accepted = bytes;
    this.#flush();
  }

  /** Gives up what waits. */
  fail(error: CaissonError): void {
    this.#send = undefined;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #flush(): void {
    while (this.#send !== undefined) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      const isFree = this.#sent === this.#accepted || this.#sent - this.#accepted + next.bytes.length <= windowBytes;
      if (!isFree) return;
      this.#waiting.shift();
      this.#sent += next.bytes.length;
      this.#send(next.bytes);
      next.resolve();
    }
  }
}
