import { CaissonError } from '../../kernel/errors.ts';
import { completeTrailer } from '../../wire/contract/files.ts';
import { type InwardCall, readBody, requireCaller } from '../inward-call.ts';

/** Written in one go. */
const batchBytes = 512 * 1024;

/**
 * What a request carries, and whether all of it came. Node ends the streams of a lost session as if they were complete, so
 * the end alone proves nothing: either all of the announced length has come, or the trailer that only a whole body has.
 */
export class RequestBody {
  /** As announced. */
  readonly length: number | undefined;
  readonly #stream: InwardCall['stream'];
  readonly #chunks: AsyncGenerator<Buffer, void> = this.#read();
  #received = 0;
  #isMarked = false;

  constructor({ stream, headers }: InwardCall) {
    const length = headers['content-length'];
    this.length = length === undefined || !/^\d{1,15}$/.test(length) ? undefined : Number(length);
    this.#stream = stream;
    stream.once('trailers', (trailers) => (this.#isMarked = trailers[completeTrailer] === '1'));
  }

  /** One and the same iteration for all who ask: what follows an archive is read where the archive ended. */
  chunks(): AsyncIterable<Buffer> {
    return { [Symbol.asyncIterator]: () => this.#chunks };
  }

  async *#read(): AsyncGenerator<Buffer, void> {
    for await (const chunk of this.#stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      this.#received += chunk.length;
      yield chunk;
    }
  }

  /** Several chunks at once: what one system call writes. */
  async *batches(): AsyncGenerator<readonly Buffer[], void> {
    let batch: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.chunks()) {
      batch.push(chunk);
      bytes += chunk.length;
      if (bytes < batchBytes) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) yield batch;
  }

  /** All of a small body. BODY_TOO_LARGE above `mostBytes`; ABORTED when it was cut, or the caller has gone. */
  async whole(mostBytes: number): Promise<Buffer> {
    await new Promise(setImmediate); // what comes with the head of its request, as a small one mostly does, is here then
    requireCaller(this.#stream);
    const content = this.#allHere(mostBytes) ?? (await readBody(this.#stream, mostBytes));
    this.#received = content.length;
    this.#requireWhole();
    return content;
  }

  /** Takes what is left (what an archive has after its end), and throws ABORTED when the body was cut. */
  async finish(): Promise<void> {
    for await (const chunk of this.chunks()) void chunk;
    this.#requireWhole();
  }

  /**
   * Without listeners: a small write takes the guest a fifth less. And without hearing of the stream's end, so that it is still readable
   * when it closes: `send` in `inward-call.ts` says what that is good for.
   */
  #allHere(mostBytes: number): Buffer | undefined {
    const { readableEnded, readableLength } = this.#stream;
    if (readableEnded) return Buffer.alloc(0); // nothing came before it
    if (readableLength === 0 || readableLength !== this.length || readableLength > mostBytes) return undefined;
    return (this.#stream.read(readableLength) as Buffer | null) ?? undefined;
  }

  #requireWhole(): void {
    if (this.#isMarked || this.#received === this.length) return;
    throw new CaissonError('ABORTED', `The upload broke off after ${this.#received} bytes.`);
  }
}
