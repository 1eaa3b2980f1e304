import type { Logger } from '../../kernel/logger.ts';
import type { ModelUsage, UsageSink } from './model-usage.ts';

/**
 * Keeps calls in the store. Those that end while a write is under way share the next one, so that many calls do not take
 * many transactions. Holds no more than there are calls, since each waits for its own.
 */
export class UsageRecorder {
  readonly #sink: UsageSink;
  readonly #logger: Logger;
  #calls: ModelUsage[] = [];
  #present: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(sink: UsageSink, logger: Logger) {
    this.#sink = sink;
    this.#logger = logger;
  }

  /** Resolves when the call is kept. Never rejects: what could not be kept is logged, each call whole. */
  add(call: ModelUsage): Promise<void> {
    this.#calls.push(call);
    return (this.#next ??= this.#writeAfterPresent());
  }

  async #writeAfterPresent(): Promise<void> {
    await this.#present;
    const calls = this.#calls;
    this.#calls = [];
    this.#present = this.#next ?? this.#present;
    this.#next = undefined;
    try {
      await this.#sink.add(calls);
    } catch (thrown) {
      for (const call of calls) this.#logger.error({ err: thrown, ...call }, 'a model call could not be kept');
    }
  }
}
