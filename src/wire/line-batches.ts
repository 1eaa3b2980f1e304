import { CaissonError } from '../kernel/errors.ts';

const newline = 0x0a;
const firstPartBytes = 64 * 1024;

export interface LineBounds {
  readonly maxLineBytes: number;
  /** Of one batch. */
  readonly maxLines: number;
  /** Of one batch, unless its only line is longer. */
  readonly maxBatchBytes: number;
}

/**
 * The lines of a stream, in batches of what is complete so far, within bounds. Reads on only when all batches have been
 * taken, so a slow reader slows the sender. A line above `maxLineBytes` throws GUEST_PROTOCOL as soon as it has grown so
 * far; what follows the last newline is dropped. Leaving the loop destroys the stream.
 */
export async function* lineBatches(
  stream: AsyncIterable<Buffer>,
  bounds: LineBounds,
): AsyncGenerator<readonly string[], void> {
  const { maxLineBytes, maxLines, maxBatchBytes } = bounds;
  const part = new LinePart(maxLineBytes);
  for await (const chunk of stream) {
    let lines: string[] = [];
    let bytes = 0;
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const length = part.length + end - start;
      if (lines.length > 0 && (lines.length >= maxLines || bytes + length > maxBatchBytes)) {
        yield lines;
        lines = [];
        bytes = 0;
      }
      lines.push(part.finish(chunk.subarray(start, end)));
      bytes += length;
      start = end + 1;
    }
    if (lines.length > 0) yield lines;
    part.add(chunk.subarray(start));
  }
}

/** The beginning of a line whose end has not arrived. Takes memory by its length, however many pieces it comes in. */
class LinePart {
  readonly #maxBytes: number;
  #held = Buffer.alloc(0);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#length;
  }

  add(bytes: Buffer): void {
    const length = this.#length + bytes.length;
    if (length > this.#maxBytes) {
      throw new CaissonError('GUEST_PROTOCOL', `A line from the guest exceeds ${this.#maxBytes} bytes.`);
    }
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#held.length, firstPartBytes));
      this.#held.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#length);
    this.#length = length;
  }

  /** The line with its last bytes; the next one begins empty. */
  finish(last: Buffer): string {
    if (this.#length === 0 && last.length <= this.#maxBytes) return last.toString();
    this.add(last);
    const line = this.#held.toString('utf8', 0, this.#length);
    this.#held = Buffer.alloc(0);
    this.#length = 0;
    return line;
  }
}
