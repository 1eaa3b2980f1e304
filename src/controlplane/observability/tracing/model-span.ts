import type { Span } from '@opentelemetry/api';
import type { CallRecord } from '../../model-gateway/call-record.ts';
import { endSpan, type Spans } from './spans.ts';

const providers = {
  responses: 'openai',
  chat_completions: 'openai',
  messages: 'anthropic',
} as const satisfies Record<CallRecord['api'], string>;

/** The span of a model call that is over now. */
export function traceModelCall(record: CallRecord, parent: Span | null, spans: Spans): void {
  const endedAt = Date.now();
  const { caller, charge, model, outcome, status } = record;
  if (model === '') return; // a list of models asks none
  const span = spans.begin(model === null ? 'chat' : `chat ${model}`, {
    kind: 'client',
    parent,
    startedAt: endedAt - record.ms,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': providers[record.api],
      'gen_ai.request.model': model ?? undefined,
      'gen_ai.response.model': record.answeredBy ?? undefined,
      'gen_ai.agent.id': caller?.agentId,
      'gen_ai.conversation.id': caller?.conversationId ?? undefined,
      'gen_ai.usage.input_tokens': charge?.counts.input,
      'gen_ai.usage.output_tokens': charge?.counts.output,
      'http.response.status_code': status ?? undefined,
      'caisson.run.id': caller?.runId ?? undefined,
      'caisson.model.api': record.api,
      'caisson.model.upstream': record.upstream ?? undefined,
      'caisson.model.outcome': outcome,
      'caisson.model.cost_micros': charge?.costMicros,
      'caisson.model.price_version': record.priceVersion ?? undefined,
      'caisson.model.first_byte_ms': record.firstByteMs ?? undefined,
      'caisson.model.overhead_ms': record.overheadMs ?? undefined,
      'caisson.model.is_estimated': charge?.isEstimated,
    },
  });
  const isRefused = outcome === 'answered' && status !== null && status >= 400;
  endSpan(span, isRefused ? String(status) : outcome === 'answered' ? null : outcome, endedAt);
}
