import type { ServerResponse } from 'node:http';
import { readerRoom } from './reader-room.ts';

/** Frames that are joined into one write. More makes no difference to throughput. */
const batchBytes = 64 * 1_024;

interface FrameWriterOptions {
  /** How long a reader may accept nothing before it is given up. */
  readonly stallMs: number;
  readonly pingMs: number;
  readonly ping: string;
}

/**
 * Writes frames to one reader. Frames that come without a wait between them leave in one write.
 * Holds at most one batch beside what the socket holds: whoever adds must await `room` when `add` says so.
 */
export class FrameWriter implements Disposable {
  readonly #response: ServerResponse;
  readonly #options: FrameWriterOptions;
  readonly #pings: NodeJS.Timeout;
  #pending = '';
  #isScheduled = false;
  #idle = true;

  constructor(response: ServerResponse, options: FrameWriterOptions) {
    this.#response = response;
    this.#options = options;
    this.#pings = setInterval(() => this.#keepAlive(), options.pingMs);
    this.#pings.unref();
  }

  /** Takes a frame. False means: await `room` before the next one. */
  add(frame: string): boolean {
    this.#pending += frame;
    this.#idle = false;
    if (this.#pending.length >= batchBytes) this.#flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      process.nextTick(() => this.#flush());
    }
    return !this.#response.writableNeedDrain;
  }

  /** Resolves when the reader has taken what was written, or has gone. Rejects with ReaderStalled. */
  room(): Promise<void> {
    return readerRoom(this.#response, this.#options.stallMs);
  }

  /** Writes what is left and ends the response. */
  end(): void {
    this.#flush();
    this.#response.end();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#pings);
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#pending === '') return;
    const batch = this.#pending;
    this.#pending = '';
    if (!this.#response.writableEnded && !this.#response.destroyed) this.#response.write(batch);
  }

  /** A ping where nothing else was written since the last one, and where the reader keeps up. */
  #keepAlive(): void {
    if (this.#idle && !this.#response.writableNeedDrain) this.add(this.#options.ping);
    this.#idle = true;
  }
}
