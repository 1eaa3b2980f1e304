import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { CaissonError } from '../../kernel/errors.ts';

/** Handed to the stream together. */
const batchBytes = 256 * 1024;

/**
 * Where an archive goes: joins small pieces, and waits for the reader, who takes one batch while the next is made. `begin` is
 * called before the first byte is sent.
 */
export class ArchiveOutput {
  readonly #stream: Writable;
  readonly #gone: AbortSignal;
  #begin: (() => void) | undefined;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #isGivenUp = false;
  /** When the last batch was taken. */
  #taken: Promise<unknown> = Promise.resolve();

  constructor(stream: Writable, { begin, gone }: { readonly begin: () => void; readonly gone: AbortSignal }) {
    this.#stream = stream;
    this.#begin = begin;
    this.#gone = gone;
  }

  get isFull(): boolean {
    return this.#bytes >= batchBytes;
  }

  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** From now on nothing is sent any more. */
  giveUp(): void {
    this.#isGivenUp = true;
  }

  /** Rejects when the reader has gone, or the archive was given up. */
  async flush(): Promise<void> {
    await this.#taken;
    this.#gone.throwIfAborted();
    if (this.#isGivenUp) throw new CaissonError('ABORTED', 'The archive was given up.');
    if (this.#bytes === 0) return;
    this.#begin?.();
    this.#begin = undefined;
    const batch = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    if (this.#stream.write(batch)) return;
    this.#taken = once(this.#stream, 'drain', { signal: this.#gone });
    this.#taken.catch(() => undefined); // the next to wait for it hears of it
  }

  /** Resolves when all was taken. */
  async finish(): Promise<void> {
    await this.flush();
    await this.#taken;
  }
}
