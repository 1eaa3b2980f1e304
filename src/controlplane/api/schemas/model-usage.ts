import { z } from 'zod';
import { agentIdSchema, conversationIdSchema, runIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { usageGroups } from '../../model-gateway/model-usage.ts';

/** A day in UTC, as `2026-01-31`. */
export const daySchema = z.iso.date();

export const usageGroupSchema = z.enum(usageGroups);

const count = z.int().min(0);

/** All input counts what came from the cache and went into it; all output counts the reasoning. */
const counts = {
  inputTokens: count,
  cachedInputTokens: count,
  cacheWriteTokens: count,
  outputTokens: count,
  reasoningTokens: count,
  /** Millionths of a US dollar, by the list prices of `priceVersion`. */
  costMicros: count,
};

/** Sums of model calls. What they are not grouped by is null. */
export const usageTotalSchema = z.object({
  day: daySchema.nullable(),
  userId: userIdSchema.nullable(),
  agentId: agentIdSchema.nullable(),
  model: z.string().nullable(),
  calls: count,
  /** Of these, those whose tokens the service did not tell: they are counted by the size of what passed. */
  estimatedCalls: count,
  /** Of these, those whose model has no price in the table: they are counted at a high default price. */
  unpricedCalls: count,
  ...counts,
});

/** One model call that took tokens. */
export const modelCallSchema = z.object({
  /** Milliseconds since the epoch: when it was over. */
  at: z.int(),
  userId: userIdSchema,
  agentId: agentIdSchema,
  /** Null where the harness named none that is known, and it could not be told by what was under way. */
  conversationId: conversationIdSchema.nullable(),
  runId: runIdSchema.nullable(),
  /** The service that was asked, by its name in the settings. */
  upstream: z.string(),
  api: z.enum(['responses', 'chat_completions', 'messages']),
  model: z.string(),
  /** `answered`, or what broke it off. */
  outcome: z.string(),
  ...counts,
  isEstimated: z.boolean(),
  /** `default` for a model that the table of prices does not have, `demo` for the demo model, which costs nothing. */
  priceVersion: z.string(),
  /** Milliseconds from the request to the end. */
  ms: z.number(),
});
