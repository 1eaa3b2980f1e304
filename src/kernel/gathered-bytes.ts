const none = Buffer.alloc(0);

/** Bytes that come in pieces, copied into one, which takes at most twice their length: each by itself would take some 250 bytes besides its own. */
export class GatheredBytes {
  #memory: Buffer = none;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All that was added, in memory that stays as it is. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#memory.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#memory.length));
      larger.set(this.bytes);
      this.#memory = larger;
    }
    this.#memory.set(piece, this.#length);
    this.#length = length;
  }

  clear(): void {
    this.#memory = none;
    this.#length = 0;
  }
}
