import { CaissonError } from '../kernel/errors.ts';
import { GatheredBytes } from '../kernel/gathered-bytes.ts';

const newline = 0x0a;

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
  readonly #held = new GatheredBytes();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#held.length;
  }

  add(bytes: Buffer): void {
    if (this.length + bytes.length > this.#maxBytes) {
      throw new CaissonError('GUEST_PROTOCOL', `A line from the guest exceeds ${this.#maxBytes} bytes.`);
    }
    this.#held.add(bytes);
  }

  /** The line with its last bytes; the next one begins empty. */
  finish(last: Buffer): string {
    if (this.length === 0 && last.length <= this.#maxBytes) return last.toString();
    this.add(last);
    const line = this.#held.bytes.toString();
    this.#held.clear();
    return line;
  }
}
