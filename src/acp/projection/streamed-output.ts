import { createHash, type Hash } from 'node:crypto';

/**
 * Bytes of UTF-8. From here on Codex may have cut the middle out of an output that it tells at the end: it keeps the first and the
 * last 512 KiB (measured with 0.166).
 */
const mayBeCut = 1024 * 1024;

/** What was told of a command's output while it ran, as its length and its digest: enough to see whether some was lost. */
export class StreamedOutput {
  #length = 0;
  #hash: Hash | undefined;

  add(piece: string): void {
    this.#length += piece.length;
    this.#hash = (this.#hash ?? createHash('sha256')).update(piece);
  }

  /**
   * Whether `whole`, the output as the harness tells it at the end, says more than what was streamed, or another thing. One that
   * may be cut never stands in the place of a longer one.
   */
  isCorrectedBy(whole: string): boolean {
    if (Buffer.byteLength(whole) >= mayBeCut) return whole.length > this.#length;
    if (whole.length !== this.#length) return true;
    return this.#hash !== undefined && !this.#hash.copy().digest().equals(createHash('sha256').update(whole).digest());
  }
}
