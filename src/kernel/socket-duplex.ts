import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { CaissonError } from './errors.ts';

/** What a side says when it has no more to send: WebSockets have no such thing of their own. */
const endMessage = 'end';

/**
 * A WebSocket of the package `ws` as a stream of bytes: binary messages, with back-pressure both ways. Each half ends by
 * itself, with a text message `end`. A socket that closes before that is a break, and destroys the stream with an error;
 * destroying the stream closes the socket.
 */
export class SocketDuplex extends Duplex {
  readonly #socket: WebSocket;
  #isWhole = false;

  /** Takes over an open socket. */
  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) {
        if (!this.push(data)) socket.pause();
      } else if (data.toString() === endMessage) {
        this.#isWhole = true;
        this.push(null);
      }
    });
    socket.on('close', (_code, reason) => {
      if (this.#isWhole && this.writableFinished) return;
      const why = reason.length === 0 ? 'The connection broke off.' : reason.toString();
      this.destroy(new CaissonError('WIRE_LOST', why));
    });
    socket.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.send(chunk, { binary: true }, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.send(endMessage, { binary: false }, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const isOver = this.#isWhole && this.writableFinished;
    if (isOver) this.#socket.close(1000);
    else if (error === null) this.#socket.terminate();
    else this.#socket.close(1011, error.message.slice(0, 100));
    if (this.#socket.isPaused) this.#socket.resume(); // for the other side's part of the close
    done(error);
  }
}
