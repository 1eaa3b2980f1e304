import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { errorText } from '../kernel/errors.ts';
import { endTrailer } from './contract/ports.ts';
import { brokenStream } from './requests.ts';
import { gatherSmallPieces } from './small-pieces.ts';

export interface TunnelOptions {
  /** False: the end of what the server sends also ends what is sent to it, as HTTP clients want it. Default true. */
  readonly allowHalfOpen?: boolean;
}

/**
 * One end of a connection that a stream of the wire carries: bytes both ways with back-pressure, each half with an end of
 * its own. A connection that was cut, also by the loss of the wire, is destroyed with an error and never just ends.
 * Destroying it resets it at the other end. Its errors are heard here; users watch 'close'.
 *
 * It has the methods of a socket that HTTP clients call, which mean nothing on the wire.
 */
export class Tunnel extends Duplex {
  readonly #stream: ClientHttp2Stream | ServerHttp2Stream;

  /**
   * Takes over a stream that is just being answered: from the event on, or what comes with the answer is missed. The
   * stream must have been opened, or answered, with `waitForTrailers`.
   */
  constructor(stream: ClientHttp2Stream | ServerHttp2Stream, { allowHalfOpen = true }: TunnelOptions = {}) {
    super({ allowHalfOpen });
    this.#stream = stream;
    gatherSmallPieces(this);
    // Node's HTTP agent does not listen all the time to a connection that it keeps.
    this.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stream.pause();
    });
    let isWhole = false;
    stream.once('trailers', (trailers) => (isWhole = trailers[endTrailer] !== undefined));
    stream.once('end', () => {
      if (isWhole) this.push(null);
    });
    stream.once('close', () => {
      if (!isWhole) this.destroy(breakOf(stream));
    });
    stream.once('wantTrailers', () => {
      if (!stream.closed && !stream.destroyed) stream.sendTrailers({ [endTrailer]: '1' });
    });
    stream.pause();
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#stream.write(chunk, encoding, done);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#stream.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.#stream.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // One that has ended both ways closes by itself, once its last frames are out.
    const isOver = this.readableEnded && this.writableFinished;
    if (!isOver) {
      if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
      this.#stream.destroy();
    }
    done(error);
  }

  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/** A reset by the far server, in the words of a socket; else why the stream broke. */
function breakOf(stream: ClientHttp2Stream | ServerHttp2Stream): Error {
  if (stream.rstCode === constants.NGHTTP2_CONNECT_ERROR) {
    return Object.assign(new Error('The server has reset the connection.'), { code: 'ECONNRESET' });
  }
  const reason = brokenStream(stream);
  return reason instanceof Error ? reason : new Error(errorText(reason));
}
