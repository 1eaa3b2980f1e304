import { Duplex } from 'node:stream';
import { GatheredBytes } from '../kernel/gathered-bytes.ts';
import { sessionWindowBytes } from './http2-settings.ts';
import { gatheredBytes, smallBytes } from './small-pieces.ts';

/** What is read ahead of the HTTP/2 session. */
const readAheadBytes = 256 * 1024;

/** Flow control keeps unread data below one session window; the rest is for headers and control frames. */
const maxUnsentBytes = 2 * sessionWindowBytes;

/**
 * The control plane's end of a byte stream, in the form that Node's HTTP/2 takes safely. Against Node 24.21 it guards:
 *
 * - A session stops reading while a write is under way. Where both ends write more than the stream between them holds,
 *   both stop for ever. Here a write is done as soon as it is queued, up to 8 MiB, which is more than flow control lets
 *   through; so this end always reads, and the other end may be a plain socket.
 * - When a Duplex that is no socket ends, Node shuts its writable side, and a session that writes while this is under way
 *   ends the process (an assertion in `JSStreamSocket.doWrite`). Here the end is a close.
 */
export class Transport extends Duplex {
  readonly #inner: Duplex;
  #ended = false;
  /** There is something only while what was written before it waits. */
  readonly #gathered = new GatheredBytes();
  readonly #onSent = (): void => {
    if (!this.#inner.destroyed) this.#handOn();
  };

  /** Takes `inner` over: it is destroyed with the transport. */
  constructor(inner: Duplex) {
    super({ readableHighWaterMark: readAheadBytes });
    this.#inner = inner;
    const end = (): void => {
      this.#ended = true;
      this.#closeWhenRead();
    };
    inner.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.once('end', end);
    inner.once('close', end);
    inner.on('error', (error) => this.destroy(error));
    inner.pause();
    if (inner.destroyed) end(); // before it was taken over: it says so no more
  }

  override _read(): void {
    if (this.#ended) this.#closeWhenRead();
    else this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#pass([{ chunk }]);
    this.#settle(done);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this.#pass(chunks);
    this.#settle(done);
  }

  override _final(done: () => void): void {
    this.#handOn();
    this.#inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy();
    done(error);
  }

  /** A piece takes some 400 bytes besides its own: where others wait to be sent, small ones are gathered. */
  #pass(chunks: readonly { readonly chunk: Buffer }[]): void {
    const isWaiting = this.#inner.writableLength > 0;
    this.#inner.cork();
    for (const { chunk } of chunks) {
      if (isWaiting && chunk.length < smallBytes) this.#gather(chunk);
      else {
        this.#handOn();
        this.#inner.write(chunk, this.#onSent);
      }
    }
    this.#inner.uncork();
  }

  #gather(chunk: Buffer): void {
    if (this.#gathered.length + chunk.length > gatheredBytes) this.#handOn();
    this.#gathered.add(chunk);
  }

  #handOn(): void {
    if (this.#gathered.length === 0) return;
    const piece = this.#gathered.bytes;
    this.#gathered.clear();
    this.#inner.write(piece, this.#onSent);
  }

  #settle(done: () => void): void {
    if (this.#inner.writableLength + this.#gathered.length <= maxUnsentBytes) done();
    else this.#inner.once('drain', done);
  }

  /** The last frames may still lie here, unread. */
  #closeWhenRead(): void {
    setImmediate(() => {
      if (this.readableLength === 0) this.destroy();
    });
  }
}
