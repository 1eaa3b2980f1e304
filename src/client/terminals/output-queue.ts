/**
 * Output between the network and its reader, as a stream that is read chunk by chunk. It holds what was sent and not read
 * yet, which the sender bounds: each chunk is reported when it is taken.
 */
export class OutputQueue {
  readonly stream: ReadableStream<Uint8Array>;
  #chunks: { readonly bytes: Uint8Array; readonly taken: () => void }[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wanted: (() => void) | undefined;
  #end: { readonly error: unknown } | undefined;

  /** `onCancel`: the reader wants no more. */
  constructor(onCancel: () => void) {
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () =>
          new Promise<void>((resolve) => {
            this.#wanted = resolve;
            this.#pass();
          }),
        cancel: () => {
          this.#chunks = [];
          onCancel();
        },
      },
      { highWaterMark: 0 },
    );
  }

  push(bytes: Uint8Array, taken: () => void): void {
    this.#chunks.push({ bytes, taken });
    this.#pass();
  }

  /** Ends the stream when what was pushed has been read: in good order, or with the error. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#pass();
  }

  #pass(): void {
    if (this.#wanted === undefined) {
      // A stream that nobody reads would otherwise not learn of its end.
      if (this.#end !== undefined && this.#chunks.length === 0) this.#finish();
      return;
    }
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      if (this.#end !== undefined) this.#finish();
      return;
    }
    const resolve = this.#wanted;
    this.#wanted = undefined;
    this.#controller?.enqueue(chunk.bytes);
    chunk.taken();
    resolve();
  }

  #finish(): void {
    const controller = this.#controller;
    this.#controller = undefined;
    const error = this.#end?.error;
    try {
      if (error === undefined) controller?.close();
      else controller?.error(error);
    } catch {
      // It was cancelled before.
    }
    this.#wanted?.();
    this.#wanted = undefined;
  }
}
