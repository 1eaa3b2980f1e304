import type { FastifyInstance } from 'fastify';
import type { AgentEvent } from '../../../agents/event.ts';
import type { RunId } from '../../../kernel/ids.ts';
import type { SandboxProvider } from '../../../sandbox-providers/contract/index.ts';
import type { EgressRecord } from '../../egress/ports.ts';
import type { CallRecord } from '../../model-gateway/call-record.ts';

/**
 * What is told of, for OpenTelemetry. Nothing here throws or waits: spans are queued, at most 2,048 beside 512 that are being
 * delivered, and what does not fit, or cannot be delivered, is dropped. Disposing it delivers what is queued, within 2 s.
 */
export interface Tracing extends AsyncDisposable {
  /** Makes a span of each request to the API. Before the routes are. */
  serve(app: FastifyInstance): void;
  /** Makes a span of each start of a sandbox. */
  provider(provider: SandboxProvider): SandboxProvider;
  /** A stored event: those of runs make their spans. */
  event(event: AgentEvent): void;
  /** Does what belongs to a run, so that what is done for it is part of its span. */
  withinRun<T>(runId: RunId, work: () => T): T;
  modelCall(record: CallRecord): void;
  connection(record: EgressRecord): void;
}

export interface TracingSettings {
  /** Spans are posted there, as JSON: the whole address, `/v1/traces` included. */
  readonly url: string;
  /** Sent with each delivery. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the traces that begin here: 0 to 1. */
  readonly share: number;
}
