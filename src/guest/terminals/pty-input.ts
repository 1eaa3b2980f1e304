import { writeSync } from 'node:fs';
import type { Clock } from '../../kernel/clock.ts';

/** One write, so that none takes long. What is smaller is put together. */
const pieceBytes = 16 * 1024;

/** How soon a terminal that is full is tried again: doubling from the first to the second figure. */
const retryMs = { first: 2, longest: 64 } as const;

interface Piece {
  bytes: Buffer;
  readonly taken: (bytes: number) => void;
  /** Of `bytes`, what there is of input. */
  length: number;
  written: number;
}

/**
 * Input on its way into a terminal. It is written to the descriptor itself: libuv takes a terminal's master for a blocking
 * stream, and stands still with the whole process for as long as a program takes no input. Nor is it polled: a terminal may
 * claim room that it does not have.
 */
export class PtyInput {
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #isOpen: () => boolean;
  #queue: Piece[] = [];
  #pending = 0;
  #delayMs: number = retryMs.first;
  #isWaiting = false;

  /** `fd` is not blocking; it is used only while `isOpen` says so, which must turn false before another file can have it. */
  constructor(fd: number, clock: Clock, isOpen: () => boolean) {
    this.#fd = fd;
    this.#clock = clock;
    this.#isOpen = isOpen;
  }

  /** Bytes that the terminal has not taken. The caller bounds them. */
  get pending(): number {
    return this.#pending;
  }

  /** `taken` is called with how much the terminal has, or never will: for several writes of one caller together. */
  write(bytes: Buffer, taken: (bytes: number) => void): void {
    if (bytes.length === 0) return;
    const last = this.#queue.at(-1);
    if (last?.taken === taken && last.length + bytes.length <= pieceBytes) append(last, bytes);
    else this.#queue.push({ bytes, taken, length: bytes.length, written: 0 });
    this.#pending += bytes.length;
    if (!this.#isWaiting) this.#flush();
  }

  #flush(): void {
    for (let [piece] = this.#queue; piece !== undefined; [piece] = this.#queue) {
      const left = piece.length - piece.written;
      const written = this.#isOpen()
        ? this.#put(piece.bytes.subarray(piece.written, piece.written + Math.min(left, pieceBytes)))
        : left;
      if (written === 0) return this.#waitForRoom();
      this.#delayMs = retryMs.first;
      piece.written += written;
      this.#pending -= written;
      if (piece.written < piece.length) continue;
      this.#queue.shift();
      piece.taken(piece.length);
    }
  }

  /** How much the terminal took. */
  #put(bytes: Buffer): number {
    try {
      return writeSync(this.#fd, bytes);
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      return code === 'EAGAIN' || code === 'EINTR' ? 0 : bytes.length; // otherwise it is dead, which its reading end tells
    }
  }

  #waitForRoom(): void {
    this.#isWaiting = true;
    this.#clock.schedule(this.#delayMs, () => {
      this.#isWaiting = false;
      this.#flush();
    });
    this.#delayMs = Math.min(retryMs.longest, 2 * this.#delayMs);
  }
}

function append(piece: Piece, bytes: Buffer): void {
  const needed = piece.length + bytes.length;
  if (needed > piece.bytes.length) {
    const larger = Buffer.allocUnsafeSlow(Math.min(pieceBytes, Math.max(256, 2 * needed)));
    piece.bytes.copy(larger, 0, 0, piece.length);
    piece.bytes = larger;
  }
  bytes.copy(piece.bytes, piece.length);
  piece.length = needed;
}
