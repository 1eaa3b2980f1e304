import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';

interface SpanOptions {
  /** Default: `internal`. */
  readonly kind?: 'internal' | 'server' | 'client';
  readonly attributes: Attributes;
  /** Default: what is under way; null for none. */
  readonly parent?: Span | SpanContext | null | undefined;
  /** Milliseconds since the epoch. Default: now. */
  readonly startedAt?: number;
}

const kinds = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT } as const;

/** Begins spans, and knows which one is under way: each instance of its own, so that control planes in one process do not mix. */
export class Spans {
  readonly #tracer: Tracer;
  readonly #present = new AsyncLocalStorage<Span>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** The span that the caller is part of. */
  get present(): Span | undefined {
    return this.#present.getStore();
  }

  /** Whoever begins it ends it. */
  begin(name: string, { kind = 'internal', attributes, parent = this.present, startedAt }: SpanOptions): Span {
    const options = { kind: kinds[kind], attributes, ...(startedAt === undefined ? {} : { startTime: startedAt }) };
    return this.#tracer.startSpan(name, options, contextOf(parent ?? null));
  }

  /** What `work` begins, then and later, is part of the span. */
  within<T>(span: Span, work: () => T): T {
    return this.#present.run(span, work);
  }
}

/** Ends a span, as failed where there is an error; `error` is its code, never a text. */
export function endSpan(span: Span, error: string | null, endedAt?: number): void {
  if (error !== null) span.setAttribute('error.type', error).setStatus({ code: SpanStatusCode.ERROR });
  span.end(endedAt);
}

function contextOf(parent: Span | SpanContext | null): Context {
  if (parent === null) return ROOT_CONTEXT;
  return 'traceId' in parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : trace.setSpan(ROOT_CONTEXT, parent);
}
