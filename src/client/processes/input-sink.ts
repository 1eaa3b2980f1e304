import { CaissonError } from '../../kernel/errors.ts';

/** One message holds at most this much, so that a signal does not wait behind a long one. */
const messageBytes = 128 * 1024;

interface InputSinkOptions {
  /** How much may be sent that was not taken. */
  readonly window: number;
  readonly send: (bytes: Uint8Array) => void;
  readonly end: () => void;
}

/** The input of a process as a web stream that waits where the process does. */
export class InputSink {
  readonly stream: WritableStream<Uint8Array>;
  readonly #options: InputSinkOptions;
  #sent = 0;
  #taken = 0;
  #failure: CaissonError | undefined;
  #controller: WritableStreamDefaultController | undefined;
  #wake: (() => void) | undefined;

  constructor(options: InputSinkOptions) {
    this.#options = options;
    this.stream = new WritableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        write: (bytes) => this.#write(bytes),
        close: () => options.end(),
        abort: () => options.end(),
      },
      { highWaterMark: 1 },
    );
  }

  /** The other end has taken so many bytes in all. */
  taken(bytes: number): void {
    this.#taken = bytes;
    this.#wake?.();
  }

  /**
   * Nobody reads it any more: what is being written fails, and so does what comes later. At the process's own end, which is
   * without a failure, closing it still succeeds: whoever has no more to say need not be faster than the process.
   */
  close(failure?: CaissonError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure ?? new CaissonError('PROCESS_ENDED', 'The process has ended.');
    this.#wake?.();
    if (failure !== undefined) this.#controller?.error(failure);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += messageBytes) {
      while (this.#sent - this.#taken > this.#options.window - messageBytes && this.#failure === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      if (this.#failure !== undefined) throw this.#failure;
      const piece = bytes.subarray(at, at + messageBytes);
      this.#sent += piece.length;
      this.#options.send(piece);
    }
  }
}
