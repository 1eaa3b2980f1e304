/** What a ring takes at first; it grows with what is printed. */
const firstBytes = 16 * 1024;

/**
 * The last bytes of an endless stream, each with its offset from the stream's first byte. Holds `capacity` bytes at most;
 * older ones are overwritten.
 */
export class OutputRing {
  readonly #capacity: number;
  #memory: Buffer;
  #end = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#memory = Buffer.allocUnsafe(Math.min(firstBytes, capacity));
  }

  /** Offset of the oldest byte that is kept. */
  get start(): number {
    return Math.max(0, this.#end - this.#capacity);
  }

  /** How much was pushed in all: the offset of the byte that comes next. */
  get end(): number {
    return this.#end;
  }

  push(chunk: Uint8Array): void {
    const kept = chunk.length > this.#capacity ? chunk.subarray(chunk.length - this.#capacity) : chunk;
    this.#end += chunk.length - kept.length;
    this.#grow(kept.length);
    const at = this.#end % this.#memory.length;
    const untilEdge = Math.min(kept.length, this.#memory.length - at);
    this.#memory.set(kept.subarray(0, untilEdge), at);
    this.#memory.set(kept.subarray(untilEdge), 0);
    this.#end += kept.length;
  }

  /** Copies what is kept from `offset` on, as much as fits into `target`; returns how much that was. */
  copy(offset: number, target: Buffer): number {
    if (offset < this.start || offset > this.#end) throw new RangeError(`offset ${offset} is not in the ring`);
    const length = Math.min(target.length, this.#end - offset);
    const at = offset % this.#memory.length;
    const untilEdge = Math.min(length, this.#memory.length - at);
    this.#memory.copy(target, 0, at, at + untilEdge);
    this.#memory.copy(target, untilEdge, 0, length - untilEdge);
    return length;
  }

  /** While all that was ever pushed fits, nothing has wrapped: the memory can be replaced by a larger one. */
  #grow(more: number): void {
    const wanted = Math.min(this.#capacity, this.#end + more);
    if (wanted <= this.#memory.length) return;
    const larger = Buffer.allocUnsafe(Math.min(this.#capacity, Math.max(wanted, 2 * this.#memory.length)));
    this.#memory.copy(larger, 0, 0, Math.min(this.#end, this.#memory.length));
    this.#memory = larger;
  }
}
