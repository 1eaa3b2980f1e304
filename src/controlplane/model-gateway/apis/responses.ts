import { z } from 'zod';
import { type ModelApi, sseEvent } from './model-api.ts';
import { tokens } from './token-field.ts';

const responseSchema = z.object({
  model: z.string().max(200).nullish(),
  usage: z
    .object({
      input_tokens: tokens,
      input_tokens_details: z.object({ cached_tokens: tokens.nullish() }).nullish(),
      output_tokens: tokens,
      output_tokens_details: z.object({ reasoning_tokens: tokens.nullish() }).nullish(),
    })
    .nullish(),
});
const eventSchema = z.object({ type: z.string(), response: responseSchema });

/** The events that end a response and carry its usage. */
const endingSchema = z.object({ type: z.string() });
const endings: Readonly<Record<string, 'whole' | 'failed'>> = {
  'response.completed': 'whole',
  'response.incomplete': 'whole',
  'response.failed': 'failed',
};
const endingNames = Object.keys(endings);
/** In quotes that are none of a text, which could say the same. */
const endingType = /"type":\s?"response\.(completed|incomplete|failed)"/;

/** OpenAI's Responses API: what Codex speaks. */
export const responsesApi: ModelApi = {
  name: 'responses',
  path: '/v1/responses',
  upstreamPath: '/responses',
  readsWholeRequest: false,
  errorBody: (error) => ({ error: error.openai }),
  failureEvent(error) {
    const { code, message } = error.openai;
    return sseEvent(
      { type: 'response.failed', response: { status: 'failed', output: [], error: { code, message } } },
      'response.failed',
    );
  },
  peekBytes: 256,
  lineKind(line, event) {
    if (endingNames.includes(event) || endingType.test(line)) return 'report';
    return event.endsWith('.delta') || line.includes('.delta"') ? 'delta' : 'other';
  },
  report(data) {
    const event = eventSchema.safeParse(data);
    const response = event.success ? event : responseSchema.safeParse(data);
    if (!response.success) return undefined;
    const { model = null, usage } = 'response' in response.data ? response.data.response : response.data;
    return {
      model,
      tokens: usage
        ? {
            input: usage.input_tokens,
            cachedInput: usage.input_tokens_details?.cached_tokens ?? 0,
            cacheWrite: 0,
            output: usage.output_tokens,
            reasoning: usage.output_tokens_details?.reasoning_tokens ?? 0,
          }
        : null,
    };
  },
  ending(data) {
    const event = endingSchema.safeParse(data);
    return event.success ? endings[event.data.type] : undefined;
  },
};
