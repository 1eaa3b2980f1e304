import type { Readable } from 'node:stream';

/** Reads a stream to its end, always, and keeps the last `limit` bytes of it. */
export class StderrTail {
  #tail: Buffer = Buffer.alloc(0);

  constructor(source: Readable, limit = 4_096) {
    source.on('data', (chunk: Buffer) => {
      const joined = Buffer.concat([this.#tail, chunk.subarray(-limit)]);
      this.#tail = joined.subarray(-limit);
    });
    source.on('error', () => undefined); // the end of the program is what counts, and is seen elsewhere
  }

  get text(): string {
    return this.#tail.toString('utf8');
  }
}
