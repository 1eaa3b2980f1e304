import type { Readable } from 'node:stream';
import { CaissonError } from '../kernel/errors.ts';

const newline = 0x0a;

/**
 * The lines of a stream, in batches of all that are complete so far. Reads on only when the batch has been taken, so a
 * slow reader slows the sender. A line that grows above `maxLineBytes` from one chunk to the next throws GUEST_PROTOCOL;
 * what follows the last newline is dropped. Leaving the loop destroys the stream.
 */
export async function* lineBatches(stream: Readable, maxLineBytes: number): AsyncGenerator<readonly string[], void> {
  let parts: Buffer[] = [];
  let partBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const end = chunk.lastIndexOf(newline);
    const head = end < 0 ? chunk : chunk.subarray(0, chunk.indexOf(newline));
    if (partBytes + head.length > maxLineBytes) {
      throw new CaissonError('GUEST_PROTOCOL', `A line from the guest exceeds ${maxLineBytes} bytes.`);
    }
    if (end < 0) {
      parts.push(chunk);
      partBytes += chunk.length;
      continue;
    }
    parts.push(chunk.subarray(0, end));
    const lines = Buffer.concat(parts).toString().split('\n');
    const rest = chunk.subarray(end + 1);
    parts = rest.length === 0 ? [] : [rest];
    partBytes = rest.length;
    yield lines;
  }
}
