import { isSpanContextValid, type SpanContext } from '@opentelemetry/api';

/** What a caller's W3C `traceparent` says; null for none, and for one that is none. Later versions may have further fields. */
export function readTraceParent(header: unknown): SpanContext | null {
  if (typeof header !== 'string' || header.length > 512) return null;
  const match = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header.trim());
  const [, version, traceId, spanId, flags, rest] = match ?? [];
  if (traceId === undefined || spanId === undefined || (version === '00' && rest !== undefined)) return null;
  const parent = { traceId, spanId, traceFlags: Number.parseInt(flags ?? '0', 16) & 1, isRemote: true };
  return isSpanContextValid(parent) ? parent : null;
}
