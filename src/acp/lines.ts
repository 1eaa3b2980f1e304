/** Thrown when a line grows past its limit. The rest of the source is not read. */
export class LineTooLongError extends Error {
  constructor(limit: number) {
    super(`a line of output is longer than ${limit} bytes`);
  }
}

const nothing = new Uint8Array();

/**
 * Splits bytes into lines of UTF-8. Pulls the next chunk of the source only when no whole line is left of the last one,
 * and holds at most one line of `limit` bytes and one chunk. A last line without an end is a line.
 */
export class LineReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #limit: number;
  #chunk: Uint8Array = nothing;
  /** Where the next line begins in the chunk. */
  #start = 0;
  /** The beginning of a line, from earlier chunks. */
  #head: Uint8Array[] = [];
  #headBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>, limit: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#limit = limit;
  }

  /** The next line, where it is here already, which costs no wait. Of one that is too long `next` tells. */
  ready(): string | undefined {
    const end = this.#chunk.indexOf(10, this.#start);
    if (end < 0 || this.#headBytes + end - this.#start > this.#limit) return undefined;
    const tail = this.#chunk.subarray(this.#start, end);
    this.#start = end + 1;
    return this.#finish(tail);
  }

  /** The next line; undefined after the last. Rejects with LineTooLongError, and with what the source failed with. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const line = this.ready();
      if (line !== undefined) return line;
      this.#keep(this.#chunk.subarray(this.#start));
      this.#chunk = nothing;
      this.#start = 0;
      const { done, value } = await this.#source.next();
      if (done === true) return this.#headBytes > 0 ? this.#finish(nothing) : undefined;
      this.#chunk = value;
    }
  }

  #keep(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#headBytes += part.length;
    if (this.#headBytes > this.#limit) throw new LineTooLongError(this.#limit);
    this.#head.push(part);
  }

  #finish(tail: Uint8Array): string {
    const line = this.#head.length === 0 ? tail : Buffer.concat([...this.#head, tail]);
    this.#head = [];
    this.#headBytes = 0;
    return Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
  }
}
