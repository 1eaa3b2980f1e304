/** Room in memory that many calls share. Bounded: who finds none is refused. */
export class HeldRoom {
  #left: number;

  /** Bytes. */
  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Whether there was room. Who took it gives it back. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#left += bytes;
  }
}
