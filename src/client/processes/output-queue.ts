/** Bytes that wait for the reader of a web stream. The sender's window bounds them. */
export class OutputQueue {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #waiting: Uint8Array[] = [];
  #end: { readonly error?: unknown } | undefined;
  #isCanceled = false;
  #wake: (() => void) | undefined;
  readonly #onTaken: (bytes: number) => void;

  /** `onTaken` is told what the reader took, or will never take. */
  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: () => {
          this.#isCanceled = true;
          for (const bytes of this.#waiting.splice(0)) this.#onTaken(bytes.length);
        },
      },
      { highWaterMark: 0 },
    );
  }

  push(bytes: Uint8Array): void {
    if (this.#isCanceled) {
      this.#onTaken(bytes.length);
      return;
    }
    this.#waiting.push(bytes);
    this.#wake?.();
  }

  /** After what still waits, the stream ends; with an error, where there is one. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#waiting.length === 0 && this.#end === undefined && !this.#isCanceled) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const bytes = this.#waiting.shift();
    if (bytes !== undefined) {
      controller.enqueue(bytes);
      this.#onTaken(bytes.length);
    } else if (this.#isCanceled) return;
    else if (this.#end?.error === undefined) controller.close();
    else controller.error(this.#end.error);
  }
}
