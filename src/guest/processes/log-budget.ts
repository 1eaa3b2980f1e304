import { maxLogBytesInAll } from '../../wire/contract/processes.ts';
import type { OutputLog } from './output-log.ts';

/** What is taken at a time from the log that must give. */
const stepBytes = 64 * 1024;

/** Keeps all logs together below a limit: those of processes that have ended give first, the oldest; then the largest. */
export class LogBudget {
  readonly #limit: number;
  readonly #running = new Set<OutputLog>();
  /** In the order in which they ended. */
  readonly #ended = new Set<OutputLog>();

  constructor(limit = maxLogBytesInAll) {
    this.#limit = limit;
  }

  add(log: OutputLog): void {
    this.#running.add(log);
  }

  /** Its process has ended; it is still read. */
  end(log: OutputLog): void {
    if (this.#running.delete(log)) this.#ended.add(log);
  }

  remove(log: OutputLog): void {
    this.#running.delete(log);
    this.#ended.delete(log);
  }

  /** After something was added to a log. */
  keep(): void {
    while (this.bytes > this.#limit) this.#giving()?.drop(stepBytes);
  }

  /** Of all logs that it knows. */
  get bytes(): number {
    let bytes = 0;
    for (const log of this.#running) bytes += log.bytes;
    for (const log of this.#ended) bytes += log.bytes;
    return bytes;
  }

  #giving(): OutputLog | undefined {
    for (const log of this.#ended) if (log.bytes > 0) return log;
    let largest: OutputLog | undefined;
    for (const log of this.#running) if (log.bytes > (largest?.bytes ?? 0)) largest = log;
    return largest;
  }
}
