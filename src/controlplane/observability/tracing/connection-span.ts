import type { Span } from '@opentelemetry/api';
import type { EgressRecord } from '../../egress/ports.ts';
import { endSpan, type Spans } from './spans.ts';

/** The span of a connection out of a sandbox that is over. */
export function traceConnection(record: EgressRecord, parent: Span | null, spans: Spans): void {
  const span = spans.begin('egress.connection', {
    kind: 'client',
    parent,
    startedAt: record.startedAt,
    attributes: {
      'gen_ai.agent.id': record.agentId,
      'server.address': record.host,
      'server.port': record.port,
      'caisson.egress.decision': record.decision,
      'caisson.egress.outcome': record.outcome,
      'caisson.egress.sent_bytes': record.sentBytes,
      'caisson.egress.received_bytes': record.receivedBytes,
    },
  });
  endSpan(span, record.outcome === 'closed' ? null : record.outcome, record.startedAt + record.durationMs);
}
