/** Takes exact numbers of bytes from a stream that comes in chunks. Holds one chunk beside what is asked for. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Where what was not taken yet begins in the chunk. */
  #at = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** `count` bytes, if they are here already, as what is small mostly is: then there is nothing to wait for. */
  takeHere(count: number): Buffer | undefined {
    return this.#left >= count ? this.#cut(count) : undefined;
  }

  /** `count` bytes, or fewer where the stream ends before. */
  async take(count: number): Promise<Buffer> {
    const here = this.takeHere(count);
    if (here !== undefined) return here;
    const parts: Buffer[] = [];
    let missing = count;
    while (missing > 0) {
      if (this.#left === 0 && !(await this.#next())) break;
      const part = this.#cut(missing);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** At least one byte and at most `most`; empty at the end. */
  async some(most: number): Promise<Buffer> {
    while (this.#left === 0) if (!(await this.#next())) break;
    return this.#cut(most);
  }

  get #left(): number {
    return this.#chunk.length - this.#at;
  }

  async #next(): Promise<boolean> {
    const { done = false, value } = await this.#chunks.next();
    if (done) return false;
    this.#chunk = value;
    this.#at = 0;
    return true;
  }

  #cut(most: number): Buffer {
    const start = this.#at;
    this.#at = Math.min(start + most, this.#chunk.length);
    return this.#chunk.subarray(start, this.#at);
  }
}
