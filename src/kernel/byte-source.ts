/** Takes exact numbers of bytes from a stream that comes in chunks. Holds one chunk beside what is asked for. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** `count` bytes, or fewer where the stream ends before. */
  async take(count: number): Promise<Buffer> {
    if (this.#chunk.length >= count) return this.#cut(count);
    const parts: Buffer[] = [];
    let missing = count;
    while (missing > 0) {
      if (this.#chunk.length === 0 && !(await this.#next())) break;
      const part = this.#cut(missing);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** At least one byte and at most `most`; empty at the end. */
  async some(most: number): Promise<Buffer> {
    while (this.#chunk.length === 0) if (!(await this.#next())) break;
    return this.#cut(most);
  }

  async #next(): Promise<boolean> {
    const { done = false, value } = await this.#chunks.next();
    if (done) return false;
    this.#chunk = value;
    return true;
  }

  #cut(count: number): Buffer {
    const part = this.#chunk.subarray(0, count);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }
}
