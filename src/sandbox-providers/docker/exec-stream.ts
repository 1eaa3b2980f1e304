import { Duplex } from 'node:stream';
import { CaissonError } from '../../kernel/errors.ts';

const headerBytes = 8;
const stderrType = 2;
const stderrTailBytes = 1024;
const bufferBytes = 256 * 1024;

/** What has come out of the exec'd process so far. */
export interface ExecOutput {
  /** The last 1 KiB. */
  readonly stderr: string;
  readonly stdoutBytes: number;
}

/**
 * Standard input and output of a process that the engine started by `exec`, as one byte stream over the hijacked
 * connection. Bytes written go to the process as they are; what comes back is taken out of the engine's frames: 8 bytes
 * of header (type, three zeros, length as 32-bit big-endian), then the payload.
 *
 * Back-pressure works both ways: a reader that stops stops the connection after 256 KiB, and a write is done when the
 * connection has taken it. `end()` closes the process's input and leaves its output open; the end of the process ends
 * the stream. `destroy()` closes the connection, at which the engine closes the process's input.
 */
export class ExecStream extends Duplex {
  /** Settles once: when `isOpen` first says so, or with WIRE_LOST when the stream is over before. */
  readonly opened: Promise<void>;
  readonly #connection: Duplex;
  readonly #opening: PromiseWithResolvers<void>;
  #isOpen: ((output: ExecOutput) => boolean) | undefined;
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #payloadLeft = 0;
  #stdoutBytes = 0;
  #stderr = Buffer.alloc(0);

  constructor(connection: Duplex, isOpen: (output: ExecOutput) => boolean) {
    super({ allowHalfOpen: false, readableHighWaterMark: bufferBytes, writableHighWaterMark: bufferBytes });
    this.#connection = connection;
    this.#isOpen = isOpen;
    this.#opening = Promise.withResolvers<void>();
    this.opened = this.#opening.promise;
    this.opened.catch(() => undefined); // whoever awaits it has the error
    connection.on('data', (chunk: Buffer) => this.#take(chunk));
    connection.on('end', () => this.#finish());
    connection.on('error', (cause) => this.destroy(broken('The connection to the engine failed.', cause)));
    connection.on('close', () => {
      if (!connection.readableEnded) this.destroy(broken('The engine dropped the connection.'));
    });
  }

  /** The last 1 KiB of the process's standard error. */
  get stderr(): string {
    return this.#stderr.toString('utf8');
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#connection.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    this.#connection.cork();
    const last = chunks.length - 1;
    chunks.forEach(({ chunk }, index) => this.#connection.write(chunk, index === last ? done : undefined));
    this.#connection.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#connection.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#connection.destroy();
    this.#opening.reject(error ?? broken('The stream was closed while it was being opened.'));
    done(error);
  }

  #take(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#payloadLeft === 0) {
        offset = this.#takeHeader(chunk, offset);
        continue;
      }
      const end = Math.min(chunk.length, offset + this.#payloadLeft);
      this.#payloadLeft -= end - offset;
      this.#takePayload(chunk.subarray(offset, end));
      offset = end;
    }
  }

  #takeHeader(chunk: Buffer, offset: number): number {
    const end = Math.min(chunk.length, offset + headerBytes - this.#headerFilled);
    this.#headerFilled += chunk.copy(this.#header, this.#headerFilled, offset, end);
    if (this.#headerFilled === headerBytes) {
      this.#headerFilled = 0;
      this.#payloadLeft = this.#header.readUInt32BE(4);
    }
    return end;
  }

  #takePayload(payload: Buffer): void {
    if (this.#header[0] === stderrType) {
      this.#stderr = Buffer.concat([this.#stderr, payload]).subarray(-stderrTailBytes);
    } else {
      this.#stdoutBytes += payload.length;
      if (!this.push(payload)) this.#connection.pause();
    }
    if (this.#isOpen?.({ stderr: this.stderr, stdoutBytes: this.#stdoutBytes })) {
      this.#isOpen = undefined;
      this.#opening.resolve();
    }
  }

  #finish(): void {
    if (this.#payloadLeft > 0 || this.#headerFilled > 0) {
      this.destroy(broken('The engine ended the connection in the middle of a frame.'));
      return;
    }
    this.#opening.reject(broken('The pipe to the guest ended before it was open.'));
    this.push(null);
  }
}

function broken(message: string, cause?: unknown): CaissonError {
  return new CaissonError('WIRE_LOST', message, { cause });
}
