import * as z from 'zod';
import { conversationIdSchema, runIdSchema } from '../../kernel/ids.ts';
import { contentBlockSchema } from './harness-event.ts';
import { journalBounds } from './journal-bounds.ts';
import { choiceIdSchema } from './session-offer.ts';

/** The one table of reasons why a turn, and so a run, is over. */
export const turnReasons = {
  completed: ['end_turn', 'max_tokens', 'max_turn_requests', 'refusal'],
  failed: [
    'model_quota_exhausted',
    'model_unauthorized',
    'model_error',
    'harness_start_failed',
    'harness_exited',
    'harness_error',
    'session_lost',
  ],
  canceled: ['canceled_by_user', 'permission_rejected', 'permission_expired', 'canceled_by_harness'],
  timed_out: ['run_timeout', 'harness_idle'],
} as const;

/** Tokens of one turn as the harness counts them. For display: bills are made at the model gateway. */
export const turnUsageSchema = z.object({
  inputTokens: z.int(),
  cachedInputTokens: z.int(),
  outputTokens: z.int(),
  reasoningTokens: z.int(),
  totalTokens: z.int(),
});
export type TurnUsage = z.infer<typeof turnUsageSchema>;

const message = z.string().max(journalBounds.message);

export const turnOutcomeSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('completed'), reason: z.enum(turnReasons.completed), usage: turnUsageSchema.nullable() }),
  z.object({ state: z.literal('failed'), reason: z.enum(turnReasons.failed), message }),
  z.object({ state: z.literal('canceled'), reason: z.enum(turnReasons.canceled), message }),
  z.object({ state: z.literal('timed_out'), reason: z.enum(turnReasons.timed_out), message }),
]);
export type TurnOutcome = z.infer<typeof turnOutcomeSchema>;

/** How the guest finds or makes the ACP session of a conversation. */
export const sessionSpecSchema = z.object({
  conversationId: conversationIdSchema,
  /** The harness's own session id, from an earlier `session.opened`; null where there was none yet. */
  sessionId: z.string().nullable(),
  /** Absolute directory in the sandbox. */
  cwd: z.string(),
  /** The session's title, so that the harness does not ask a model for one. */
  title: z.string(),
  /** A model id of the harness, or null for the one that it was started with. */
  model: z.string().nullable(),
  /** A mode id of the harness, or null for its default. */
  mode: choiceIdSchema.nullable(),
});
export type SessionSpec = z.infer<typeof sessionSpecSchema>;

/** One prompt. Idempotent by its run id: asking twice in one incarnation starts one turn. */
export const turnRequestSchema = z.object({
  session: sessionSpecSchema,
  content: z.array(contentBlockSchema).min(1),
  /** From the start of the turn to its forced end. */
  timeoutMs: z.int().positive(),
  /** Longest silence of the harness while no tool runs and no permission is open. */
  idleTimeoutMs: z.int().positive(),
  /** How long a permission request stays open. */
  permissionTimeoutMs: z.int().positive(),
});
export type TurnRequest = z.infer<typeof turnRequestSchema>;

/** What the guest knows of a run: `unknown` means that this incarnation was never asked to do it. */
export const turnStatusSchema = z.object({ runId: runIdSchema, state: z.enum(['unknown', 'active', 'ended']) });
export type TurnStatus = z.infer<typeof turnStatusSchema>;
