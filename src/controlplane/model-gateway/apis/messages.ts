import { z } from 'zod';
import { type ModelApi, sseEvent } from './model-api.ts';
import { tokens } from './token-field.ts';

const usageSchema = z.object({
  input_tokens: tokens.nullish(),
  cache_creation_input_tokens: tokens.nullish(),
  cache_read_input_tokens: tokens.nullish(),
  output_tokens: tokens.nullish(),
});
const messageSchema = z.object({ model: z.string().max(200).nullish(), usage: usageSchema });

/** The input is told when a stream begins; the output is counted on until it ends. */
const reportSchema = z.union([
  z.object({ type: z.literal('message_start'), message: messageSchema }).transform(({ message }) => message),
  z.object({ type: z.literal('message_delta'), usage: usageSchema }).transform(({ usage }) => ({ model: null, usage })),
  messageSchema,
]);

const endingSchema = z.object({ type: z.string() });
const endings: Readonly<Record<string, 'whole' | 'failed'>> = { message_stop: 'whole', error: 'failed' };

/** Anthropic's Messages API: what Claude Code speaks. Its input tokens leave those of the cache out; ours hold all. */
export const messagesApi: ModelApi = {
  name: 'messages',
  path: '/v1/messages',
  upstreamPath: '/messages',
  readsWholeRequest: false,
  errorBody: (error) => error.anthropic,
  failureEvent: (error) => sseEvent(error.anthropic, 'error'),
  peekBytes: 256,
  lineKind(line, event) {
    if (/^(message_(start|delta|stop)|error)$/.test(event)) return 'report';
    if (/"type":\s?"(message_(start|delta|stop)|error)"/.test(line)) return 'report';
    return event === 'content_block_delta' || line.includes('"content_block_delta"') ? 'delta' : 'other';
  },
  report(data) {
    const parsed = reportSchema.safeParse(data);
    if (!parsed.success) return undefined;
    const { model = null, usage } = parsed.data;
    const cachedInput = usage.cache_read_input_tokens ?? 0;
    const cacheWrite = usage.cache_creation_input_tokens ?? 0;
    return {
      model,
      tokens: {
        input: (usage.input_tokens ?? 0) + cachedInput + cacheWrite,
        cachedInput,
        cacheWrite,
        output: usage.output_tokens ?? 0,
        reasoning: 0,
      },
    };
  },
  ending(data) {
    const event = endingSchema.safeParse(data);
    return event.success ? endings[event.data.type] : undefined;
  },
};
