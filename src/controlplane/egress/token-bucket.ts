import type { Clock } from '../../kernel/clock.ts';

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

/**
 * Bytes a second, with a burst of one second. Whoever comes first goes first; one that is larger than what is left may go
 * as soon as anything is left, and those after it wait for what it took too much. A clock that jumps changes nothing.
 */
export class TokenBucket implements Disposable {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  #left: number;
  #filledAt: number;
  /** At most one for each direction of each connection. */
  readonly #waiting: Waiting[] = [];
  #cancel: (() => void) | undefined;

  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#left = bytesPerSecond;
    this.#filledAt = clock.elapsed();
  }

  /** Whether nothing was taken of late, so that one that begins anew is no better. */
  get isFull(): boolean {
    this.#fill();
    return this.#left === this.#bytesPerSecond && this.#waiting.length === 0;
  }

  /** Undefined where they may go at once; else resolves when they may. Never rejects. */
  take(bytes: number): Promise<void> | undefined {
    this.#fill();
    if (this.#waiting.length === 0 && this.#left > 0) {
      this.#left -= bytes;
      return undefined;
    }
    return new Promise((go) => {
      this.#waiting.push({ bytes, go });
      this.#wake();
    });
  }

  /** Lets all that wait go: what they belong to has ended. */
  [Symbol.dispose](): void {
    this.#cancel?.();
    for (const { go } of this.#waiting.splice(0)) go();
  }

  #fill(): void {
    const now = this.#clock.elapsed();
    this.#left = Math.min(this.#bytesPerSecond, this.#left + ((now - this.#filledAt) / 1_000) * this.#bytesPerSecond);
    this.#filledAt = now;
  }

  #wake(): void {
    if (this.#cancel !== undefined) return;
    const missingMs = (Math.max(0, -this.#left) / this.#bytesPerSecond) * 1_000;
    this.#cancel = this.#clock.schedule(Math.ceil(missingMs) + 1, () => {
      this.#cancel = undefined;
      this.#fill();
      while (this.#left > 0) {
        const next = this.#waiting.shift();
        if (next === undefined) return;
        this.#left -= next.bytes;
        next.go();
      }
      if (this.#waiting.length > 0) this.#wake();
    });
  }
}
