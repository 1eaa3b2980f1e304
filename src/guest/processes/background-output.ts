import { maxLogBytes } from '../../wire/contract/processes.ts';
import type { OutputStream } from '../../wire/output-frames.ts';
import type { LogBudget } from './log-budget.ts';
import type { OutputSink } from './managed-process.ts';
import { OutputLog } from './output-log.ts';

/**
 * The output of a background process: the last MiB, kept whether somebody reads it or not. The process never waits for a
 * reader.
 */
export class BackgroundOutput implements OutputSink {
  readonly log = new OutputLog(maxLogBytes);
  isEnded = false;
  readonly #budget: LogBudget;
  readonly #readers = new Set<() => void>();

  constructor(budget: LogBudget) {
    this.#budget = budget;
    budget.add(this.log);
  }

  get kept(): OutputLog {
    return this.log;
  }

  write(stream: OutputStream, chunk: Buffer): boolean {
    this.#budget.push(this.log, stream, chunk);
    this.#tell();
    return true;
  }

  end(): void {
    this.isEnded = true;
    this.#budget.end(this.log);
    this.#tell();
  }

  /** Nobody can ask for it any more. */
  forget(): void {
    this.#budget.remove(this.log);
  }

  /** `onMore` is called when something was added, or the output has ended. The returned function takes it back. */
  watch(onMore: () => void): () => void {
    this.#readers.add(onMore);
    return () => this.#readers.delete(onMore);
  }

  #tell(): void {
    for (const reader of this.#readers) reader();
  }
}
