import { Duplex } from 'node:stream';
import { gatherSmallPieces } from '../../wire/small-pieces.ts';

export type Direction = 'sent' | 'received';

/** Asked before bytes go on. A promise holds them back; a throw, or a rejection, cuts the connection. */
export type Admit = (bytes: number, direction: Direction) => Promise<void> | void;

/**
 * What a program is told in place of the answer that it waits for, where it has got nothing yet: undefined where nothing can be
 * said. `first` is how its first bytes begin, which may not have been admitted.
 */
export type LastWords = (error: Error, first: Buffer) => Buffer | undefined;

/** Of a program that has its last words, and does not let go. */
const lastWordsMs = 5_000;

/**
 * A connection of a sandbox, all of whose bytes are admitted before they go on: what is read was `sent`, what is written is
 * `received`. Holds back at most what it was given in one piece, and reads nothing while it does. Takes `inner` over; its
 * errors are heard here, users watch 'close'.
 */
export class MeteredTunnel extends Duplex {
  readonly #inner: Duplex;
  readonly #admit: Admit;
  readonly #lastWords: LastWords;
  #first: Buffer | undefined;
  #hasAnswered = false;

  constructor(inner: Duplex, admit: Admit, lastWords: LastWords = () => undefined) {
    super({ allowHalfOpen: true });
    this.#inner = inner;
    gatherSmallPieces(this);
    this.#admit = admit;
    this.#lastWords = lastWords;
    this.on('error', () => undefined);
    inner.on('data', (chunk: Buffer) => this.#take(chunk));
    inner.once('end', () => this.push(null));
    inner.on('error', (error) => this.destroy(error));
    inner.once('close', () => {
      if (!inner.readableEnded) this.destroy();
    });
    inner.pause();
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pass(chunk.length, () => void this.#inner.write(chunk, done), done);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const all = Buffer.concat(chunks.map(({ chunk }) => chunk));
    this.#pass(all.length, () => void this.#inner.write(all, done), done);
  }

  override _final(done: () => void): void {
    this.#inner.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const words =
      error === null || this.#hasAnswered ? undefined : this.#lastWords(error, this.#first ?? Buffer.alloc(0));
    if (words === undefined || this.#inner.destroyed) this.#inner.destroy();
    else this.#say(words);
    done(error);
  }

  #say(words: Buffer): void {
    const inner = this.#inner;
    const letGo = setTimeout(() => inner.destroy(), lastWordsMs).unref();
    inner.once('close', () => clearTimeout(letGo));
    inner.end(words);
    inner.resume(); // what it still sends has no reader
  }

  #take(chunk: Buffer): void {
    if (this.destroyed) return;
    this.#first ??= Buffer.from(chunk.subarray(0, 16));
    let held: Promise<void> | void;
    try {
      held = this.#admit(chunk.length, 'sent');
    } catch (thrown) {
      return this.#cut(thrown);
    }
    if (held === undefined) {
      if (!this.push(chunk)) this.#inner.pause();
      return;
    }
    this.#inner.pause();
    held.then(
      () => {
        if (!this.destroyed && this.push(chunk)) this.#inner.resume();
      },
      (thrown: unknown) => this.#cut(thrown),
    );
  }

  #pass(bytes: number, send: () => void, done: (error?: Error | null) => void): void {
    const go = (): void => {
      this.#hasAnswered = true;
      send();
    };
    let held: Promise<void> | void;
    try {
      held = this.#admit(bytes, 'received');
    } catch (thrown) {
      done(asError(thrown));
      return;
    }
    if (held === undefined) go();
    else void held.then(go).catch((thrown: unknown) => this.#cut(thrown));
  }

  #cut(thrown: unknown): void {
    this.destroy(asError(thrown));
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
