interface Chunk {
  readonly bytes: Uint8Array;
  readonly taken: () => void;
}

/**
 * Output between the network and its reader, as a stream that is read chunk by chunk. It holds what was sent and not read
 * yet, which the sender bounds: each chunk is reported when it is taken, or will never be, because the reader wants no more.
 */
export class OutputQueue {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #chunks: Chunk[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wanted: (() => void) | undefined;
  #end: { readonly error: unknown } | undefined;
  #isCancelled = false;

  /** `onCancel`: the reader wants no more. It is called before what still waits is reported. */
  constructor(onCancel: () => void = () => undefined) {
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () =>
          new Promise<void>((resolve) => {
            this.#wanted = resolve;
            this.#pass();
          }),
        cancel: () => {
          this.#isCancelled = true;
          this.#controller = undefined;
          onCancel();
          for (const { taken } of this.#chunks.splice(0)) taken();
          this.#satisfy();
        },
      },
      { highWaterMark: 0 },
    );
  }

  push(bytes: Uint8Array, taken: () => void): void {
    if (this.#isCancelled) return taken();
    this.#chunks.push({ bytes, taken });
    this.#pass();
  }

  /** Ends the stream when what was pushed has been read: in good order, or with the error. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#pass();
  }

  #pass(): void {
    if (this.#chunks.length === 0) {
      // A stream that nobody reads would otherwise not learn of its end.
      if (this.#end !== undefined) this.#finish(this.#end.error);
      return;
    }
    if (this.#wanted === undefined) return;
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return;
    this.#controller?.enqueue(chunk.bytes);
    chunk.taken();
    this.#satisfy();
  }

  #finish(error: unknown): void {
    const controller = this.#controller;
    this.#controller = undefined;
    if (error === undefined) controller?.close();
    else controller?.error(error);
    this.#satisfy();
  }

  #satisfy(): void {
    this.#wanted?.();
    this.#wanted = undefined;
  }
}
