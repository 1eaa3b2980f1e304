import { maxLogBytesInAll } from '../../wire/contract/processes.ts';
import type { OutputStream } from '../../wire/output-frames.ts';
import type { OutputLog } from './output-log.ts';

/** What is taken at a time from the log that must give. */
const stepBytes = 64 * 1024;

/** Keeps all logs together below a limit: those of processes that have ended give first, the oldest; then the largest. */
export class LogBudget {
  readonly #limit: number;
  readonly #running = new Set<OutputLog>();
  /** In the order in which they ended. */
  readonly #ended = new Set<OutputLog>();
  #bytes = 0;

  constructor(limit = maxLogBytesInAll) {
    this.#limit = limit;
  }

  /** An empty one. From now on it grows by `push` alone. */
  add(log: OutputLog): void {
    this.#running.add(log);
  }

  /** Its process has ended; it is still read. */
  end(log: OutputLog): void {
    if (this.#running.delete(log)) this.#ended.add(log);
  }

  remove(log: OutputLog): void {
    if (this.#running.delete(log) || this.#ended.delete(log)) this.#bytes -= log.bytes;
  }

  /** Adds to a log that it knows, and takes from others, or from it, what is too much. */
  push(log: OutputLog, stream: OutputStream, chunk: Buffer): void {
    this.#change(log, () => log.push(stream, chunk));
    while (this.#bytes > this.#limit) {
      const giving = this.#giving();
      if (giving === undefined) return;
      this.#change(giving, () => giving.drop(stepBytes));
    }
  }

  /** Of all logs that it knows. */
  get bytes(): number {
    return this.#bytes;
  }

  #change(log: OutputLog, change: () => void): void {
    const before = log.bytes;
    change();
    this.#bytes += log.bytes - before;
  }

  #giving(): OutputLog | undefined {
    for (const log of this.#ended) if (log.bytes > 0) return log;
    let largest: OutputLog | undefined;
    for (const log of this.#running) if (log.bytes > (largest?.bytes ?? 0)) largest = log;
    return largest;
  }
}
