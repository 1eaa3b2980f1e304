import { z } from 'zod';
import { activeRunStates, type Run, runReasons, whenBusyChoices } from '../../../agents/run.ts';
import {
  agentIdSchema,
  conversationIdSchema,
  incarnationIdSchema,
  messageIdSchema,
  runIdSchema,
  userIdSchema,
} from '../../../kernel/ids.ts';
import { turnUsageSchema } from '../../../wire/contract/turn.ts';

const rowSchema = z.object({
  id: runIdSchema,
  agentId: agentIdSchema,
  conversationId: conversationIdSchema,
  messageId: messageIdSchema,
  startedBy: userIdSchema,
  timeoutMs: z.int(),
  acceptedAt: z.int(),
  startedAt: z.int().nullable(),
  endedAt: z.int().nullable(),
  incarnation: incarnationIdSchema.nullable(),
  cancelRequested: z.boolean(),
  usage: turnUsageSchema.nullable(),
  whenBusy: z.enum(whenBusyChoices),
});

const message = z.string().nullable();

export const runSchema = z.discriminatedUnion('state', [
  rowSchema.extend({ state: z.enum(activeRunStates), reason: z.null(), message: z.null() }),
  rowSchema.extend({ state: z.literal('completed'), reason: z.enum(runReasons.completed), message }),
  rowSchema.extend({ state: z.literal('failed'), reason: z.enum(runReasons.failed), message }),
  rowSchema.extend({ state: z.literal('canceled'), reason: z.enum(runReasons.canceled), message }),
  rowSchema.extend({ state: z.literal('timed_out'), reason: z.enum(runReasons.timed_out), message }),
  rowSchema.extend({ state: z.literal('interrupted'), reason: z.enum(runReasons.interrupted), message }),
  rowSchema.extend({ state: z.literal('rejected'), reason: z.enum(runReasons.rejected), message }),
]) satisfies z.ZodType<Run>;

export const acceptedRunSchema = z.object({ runId: runIdSchema, messageId: messageIdSchema, acceptedAt: z.int() });

const endedFields = {
  runId: runIdSchema,
  startedAt: z.int().nullable(),
  endedAt: z.int().nullable(),
  run: runSchema,
};

/** How a wait ended. `timeout` is the end of the wait, never of the run. */
export const waitOutcomeSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('ok'), ...endedFields, error: z.null() }),
  z.object({
    status: z.literal('error'),
    ...endedFields,
    error: z.object({ state: z.string(), reason: z.string(), message: z.string().nullable() }),
  }),
  z.object({ status: z.literal('timeout'), runId: runIdSchema }),
]);
export type WaitOutcome = z.infer<typeof waitOutcomeSchema>;
