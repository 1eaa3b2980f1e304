/** The last bytes of a stream. */
export class ByteRing {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > 2 * this.#limit) this.#trim();
  }

  /** At most `limit` bytes. */
  contents(): Buffer {
    this.#trim();
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #trim(): void {
    const all = Buffer.concat(this.#chunks);
    const kept = all.length > this.#limit ? Buffer.from(all.subarray(all.length - this.#limit)) : all;
    this.#chunks = [kept];
    this.#bytes = kept.length;
  }
}
