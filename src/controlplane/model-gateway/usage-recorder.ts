import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { ModelUsage, UsageSink } from './model-usage.ts';

const retryEveryMs = 5_000;
/** Calls that wait for a store that takes nothing. None begins while the ledger, which is in it, takes none: so many never come together. */
const mostWaiting = 10_000;

/**
 * Keeps calls in the store. Those that end while a write is under way share the next one, so that many calls do not take
 * many transactions. What the store does not take for now, as on a full disk, is tried again every 5 s, with the next call,
 * and once more when it is disposed. What is lost even so is logged, each call whole.
 */
export class UsageRecorder implements AsyncDisposable {
  readonly #sink: UsageSink;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #calls: ModelUsage[] = [];
  #present: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(sink: UsageSink, clock: Clock, logger: Logger) {
    this.#sink = sink;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Resolves when the call is kept, or waits for another try. Never rejects. */
  add(call: ModelUsage): Promise<void> {
    this.#calls.push(call);
    return this.#write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#write();
    this.#cancelRetry?.();
    this.#lose(this.#calls);
  }

  #write(): Promise<void> {
    return (this.#next ??= this.#writeAfterPresent());
  }

  async #writeAfterPresent(): Promise<void> {
    await this.#present;
    const calls = this.#calls;
    this.#calls = [];
    this.#present = this.#next ?? this.#present;
    this.#next = undefined;
    if (calls.length === 0) return;
    try {
      await this.#sink.add(calls);
    } catch (thrown) {
      if (isPassing(thrown)) this.#tryLater(calls, thrown);
      else this.#lose(calls, thrown);
    }
  }

  #tryLater(calls: readonly ModelUsage[], err: unknown): void {
    const waiting = [...calls, ...this.#calls];
    this.#calls = waiting.slice(0, mostWaiting);
    this.#lose(waiting.slice(mostWaiting), err);
    if (this.#cancelRetry !== undefined) return; // it was told
    this.#logger.warn({ err, calls: calls.length }, 'model calls could not be kept; it is tried again');
    this.#retryLater();
  }

  #retryLater(): void {
    this.#cancelRetry = this.#clock.schedule(retryEveryMs, () => {
      void this.#write().then(() => {
        this.#cancelRetry = undefined;
        if (this.#calls.length > 0) this.#retryLater();
      });
    });
  }

  #lose(calls: readonly ModelUsage[], err?: unknown): void {
    for (const call of calls) this.#logger.error({ err, ...call }, 'a model call could not be kept');
  }
}

function isPassing(thrown: unknown): boolean {
  return thrown instanceof CaissonError && thrown.code === 'STORAGE_UNAVAILABLE';
}
