import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from '../../../kernel/logger.ts';

type Result = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** Says once that spans cannot be delivered, and once that they are again. What could not be delivered is dropped. */
export class HarmlessExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #logger: Logger;
  #isFailing = false;

  constructor(inner: SpanExporter, logger: Logger) {
    this.#inner = inner;
    this.#logger = logger;
  }

  export(spans: ReadableSpan[], done: (result: Result) => void): void {
    this.#inner.export(spans, (result) => {
      const hasFailed = result.error !== undefined;
      if (hasFailed && !this.#isFailing) this.#logger.warn({ err: result.error }, 'spans cannot be delivered');
      if (!hasFailed && this.#isFailing) this.#logger.info({}, 'spans are delivered again');
      this.#isFailing = hasFailed;
      done({ code: 0 }); // it has been said: the library's own handler is the whole process's
    });
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    await this.#inner.shutdown();
  }
}
