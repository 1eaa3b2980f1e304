import { z } from 'zod';
import { type ModelApi, sseEvent } from './model-api.ts';
import { tokens } from './token-field.ts';

const completionSchema = z.object({
  model: z.string().max(200).nullish(),
  usage: z
    .object({
      prompt_tokens: tokens,
      prompt_tokens_details: z.object({ cached_tokens: tokens.nullish() }).nullish(),
      completion_tokens: tokens,
      completion_tokens_details: z.object({ reasoning_tokens: tokens.nullish() }).nullish(),
    })
    .nullish(),
});

const errorSchema = z.object({ error: z.looseObject({}) });

const done = 'data: [DONE]';

/** OpenAI's Chat Completions API. A stream tells its usage only when it is asked to, so the gateway asks. */
export const chatCompletionsApi: ModelApi = {
  name: 'chat_completions',
  path: '/v1/chat/completions',
  upstreamPath: '/chat/completions',
  readsWholeRequest: true,
  errorBody: (error) => ({ error: error.openai }),
  failureEvent: (error) => sseEvent({ error: error.openai }),
  peekBytes: Infinity, // the usage stands at the end
  lineKind: (line) => {
    if (line.startsWith(done) || /"(usage|error)":\s*\{/.test(line)) return 'report';
    return line.startsWith('data:') ? 'delta' : 'other';
  },
  report(data) {
    const parsed = completionSchema.safeParse(data);
    if (!parsed.success) return undefined;
    const { model = null, usage } = parsed.data;
    return {
      model,
      tokens: usage
        ? {
            input: usage.prompt_tokens,
            cachedInput: usage.prompt_tokens_details?.cached_tokens ?? 0,
            cacheWrite: 0,
            output: usage.completion_tokens,
            reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
          }
        : null,
    };
  },
  ending(data) {
    if (data === '[DONE]') return 'whole';
    return errorSchema.safeParse(data).success ? 'failed' : undefined;
  },
};
