import { writeSync } from 'node:fs';

/** Some 20,000 lines. */
const mostWaitingBytes = 4 * 1_024 ** 2;
const firstRetryMs = 10;
const lastRetryMs = 1_000;
/** How long the end of the process waits for a destination that takes nothing. */
const exitMs = 1_000;

/**
 * Where log lines go. A line is the system's once it is logged, so that none is lost with the process. What the destination does not
 * take (a full disk, a reader who stands still or is gone) waits, in order, and is tried again after 10 ms to 1 s. Once 4 MiB wait,
 * lines are dropped and counted until all that waits is written, and then a line tells how many: the log costs lines, and
 * neither throws nor waits. Only the end of the process is held up for what waits, by 1 s at most.
 */
export class LogDestination {
  readonly #fd: number;
  /** Begun, or next. */
  #head = Buffer.alloc(0);
  #lines: string[] = [];
  #waitingBytes = 0;
  #untold = 0;
  #dropped = 0;

  /** `fd`: a file, a terminal, or a pipe or socket that does not block. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Lines that were dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#untold > 0 || this.#waitingBytes >= mostWaitingBytes) {
      this.#untold += 1;
      this.#dropped += 1;
      return;
    }
    const isFirst = this.#waitingBytes === 0;
    this.#push(line);
    if (!isFirst || this.#drain()) return;
    // Before other listeners: one of them may leave at once.
    process.prependOnceListener('exit', this.#drainAtExit);
    this.#retryIn(firstRetryMs);
  }

  #push(line: string): void {
    this.#lines.push(line);
    this.#waitingBytes += Buffer.byteLength(line);
  }

  #retryIn(ms: number): void {
    const retry = setTimeout(() => {
      const before = this.#waitingBytes;
      if (this.#drain()) process.off('exit', this.#drainAtExit);
      else this.#retryIn(this.#waitingBytes < before ? firstRetryMs : Math.min(2 * ms, lastRetryMs));
    }, ms);
    retry.unref();
  }

  /** Writes what the destination takes, and returns whether that was all. */
  #drain(): boolean {
    try {
      while (this.#waitingBytes > 0) {
        if (this.#head.length === 0) this.#head = Buffer.from(this.#lines.splice(0).join(''));
        const written = writeSync(this.#fd, this.#head);
        this.#head = this.#head.subarray(written);
        this.#waitingBytes -= written;
        if (this.#waitingBytes === 0 && this.#untold > 0) this.#tellDropped();
      }
      return true;
    } catch {
      return false; // whatever the reason: there is no other place to tell it
    }
  }

  #tellDropped(): void {
    const told = { level: 'warn', time: new Date(), dropped: this.#untold, msg: 'log lines were dropped' };
    this.#untold = 0;
    this.#push(`${JSON.stringify(told)}\n`);
  }

  readonly #drainAtExit = (): void => {
    const end = performance.now() + exitMs;
    const nothing = new Int32Array(new SharedArrayBuffer(4));
    while (!this.#drain() && performance.now() < end) Atomics.wait(nothing, 0, 0, firstRetryMs);
  };
}

/** A pipe or socket on stderr does not block from here on: Node sees to that when it opens `process.stderr`. */
export function stderrDestination(): LogDestination {
  const { stderr } = process;
  return new LogDestination('fd' in stderr ? stderr.fd : 2); // that of a worker thread has none
}
