import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import type { CaissonError } from '../../kernel/errors.ts';
import { errorTrailers } from '../error-trailers.ts';
import { goneWith } from '../inward-call.ts';

/** Items as lines of JSON down a stream, which waits for its reader; an error that comes later travels in the trailer. */
export class ItemStream<Item> {
  /** Aborts when the reader has gone. */
  readonly gone: AbortSignal;
  readonly #stream: ServerHttp2Stream;
  #failure: CaissonError | undefined;

  constructor(stream: ServerHttp2Stream) {
    this.gone = goneWith(stream);
    this.#stream = stream;
    stream.once('wantTrailers', () => stream.sendTrailers(errorTrailers(this.#failure)));
    if (!stream.closed && !stream.destroyed) {
      stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' }, { waitForTrailers: true });
    }
  }

  /** Resolves when there is room for the next item; rejects when the reader has gone. */
  async send(item: Item): Promise<void> {
    this.gone.throwIfAborted();
    if (!this.#stream.write(`${JSON.stringify(item)}\n`)) await once(this.#stream, 'drain', { signal: this.gone });
  }

  end(failure?: CaissonError): void {
    this.#failure = failure;
    if (!this.#stream.destroyed) this.#stream.end();
  }
}
