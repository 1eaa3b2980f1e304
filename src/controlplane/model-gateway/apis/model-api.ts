import type { GatewayError } from '../gateway-error.ts';
import type { TokenCounts } from '../token-counts.ts';

/** What a part of an answer tells of the call. */
interface UsageReport {
  /** The model that answered, as the service names it; null where it is not told. */
  readonly model: string | null;
  /** Null where it is not told. */
  readonly tokens: TokenCounts | null;
}

/** What a line of a stream is, as its first bytes show. */
export type LineKind =
  /** May tell the usage: it is read whole. */
  | 'report'
  /** Some of what the model says. */
  | 'delta'
  | 'other';

/** One API of a vendor, as harnesses speak it. The siblings of this file are all of them. */
export interface ModelApi {
  readonly name: 'responses' | 'chat_completions' | 'messages';
  /** Below the prefix of the model endpoint. */
  readonly path: string;
  /** Added to the address of the service. */
  readonly upstreamPath: string;
  /** Whether a request has to be seen whole before it is passed on, because something in it may have to be changed. */
  readonly readsWholeRequest: boolean;
  /** The body that refuses a request. */
  errorBody(error: GatewayError): object;
  /** The server-sent event that ends a stream that has begun. */
  failureEvent(error: GatewayError): string;
  /** How many bytes of a line show its kind. */
  readonly peekBytes: number;
  /** `line` is at least `peekBytes` of one, or all of it. `event` is that of the line before, where it named one. */
  lineKind(line: string, event: string): LineKind;
  /** Of the data of a line of kind `report`, or of a body that is one JSON document; undefined where it tells nothing. */
  report(data: unknown): UsageReport | undefined;
  /** Whether the data of a line of kind `report` ends the answer: `failed` where the service says that it failed. */
  ending(data: unknown): 'whole' | 'failed' | undefined;
}

/** A server-sent event. */
export function sseEvent(data: object, event?: string): string {
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}
