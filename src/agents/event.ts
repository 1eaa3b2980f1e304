import { z } from 'zod';
import {
  agentIdSchema,
  checkpointIdSchema,
  conversationIdSchema,
  egressRequestIdSchema,
  incarnationIdSchema,
  messageIdSchema,
  runIdSchema,
  userIdSchema,
} from '../kernel/ids.ts';
import { contentBlockSchema, harnessEventSchemas } from '../wire/contract/harness-event.ts';
import { portOwnerFields } from '../wire/contract/ports.ts';
import { sessionOfferSchema } from '../wire/contract/session-offer.ts';
import { turnUsageSchema } from '../wire/contract/turn.ts';
import { runReasons } from './run.ts';

const choiceFields = {
  /** Null for the agent's. */
  model: z.string().nullable(),
  /** Null for the harness's default. */
  mode: z.string().nullable(),
};

/** What is recorded in an agent's log besides what its harness does. */
const domainEventSchemas = [
  z.object({ type: z.literal('agent.created'), name: z.string() }),
  z.object({ type: z.literal('agent.status'), status: z.enum(['idle', 'thinking', 'awaiting_permission', 'error']) }),
  z.object({
    type: z.literal('sandbox.status'),
    state: z.enum(['starting', 'running', 'stopped', 'failed']),
    /** Of a running sandbox: which start of it this is. */
    incarnation: incarnationIdSchema.nullable(),
    message: z.string().nullable(),
  }),
  z.object({ type: z.literal('conversation.opened'), title: z.string(), ...choiceFields }),
  /** From its next turn on. */
  z.object({ type: z.literal('conversation.configured'), ...choiceFields }),
  /** From its first message: nobody gave it a title. */
  z.object({ type: z.literal('conversation.titled'), title: z.string() }),
  z.object({ type: z.literal('conversation.closed') }),
  z.object({
    type: z.literal('session.opened'),
    /** `new` after a conversation had a session before: the harness has lost what was said. */
    how: z.enum(['new', 'loaded', 'resumed']),
    ...sessionOfferSchema.shape,
  }),
  z.object({
    type: z.literal('message.added'),
    messageId: messageIdSchema,
    role: z.enum(['user', 'agent']),
    senderId: userIdSchema.nullable(),
    content: z.array(contentBlockSchema),
  }),
  /** `ahead` counts the runs of this conversation that come first. */
  z.object({ type: z.literal('run.queued'), messageId: messageIdSchema, ahead: z.int().min(0) }),
  z.object({ type: z.literal('run.starting') }),
  z.object({ type: z.literal('run.started') }),
  z.object({ type: z.literal('run.cancel_requested'), by: userIdSchema }),
  z.object({
    type: z.literal('run.completed'),
    reason: z.enum(runReasons.completed),
    message: z.string().nullable(),
    usage: turnUsageSchema.nullable(),
  }),
  z.object({ type: z.literal('run.failed'), reason: z.enum(runReasons.failed), message: z.string().nullable() }),
  z.object({ type: z.literal('run.canceled'), reason: z.enum(runReasons.canceled), message: z.string().nullable() }),
  z.object({ type: z.literal('run.timed_out'), reason: z.enum(runReasons.timed_out), message: z.string().nullable() }),
  z.object({
    type: z.literal('run.interrupted'),
    reason: z.enum(runReasons.interrupted),
    message: z.string().nullable(),
  }),
  z.object({ type: z.literal('run.rejected'), reason: z.enum(runReasons.rejected), message: z.string().nullable() }),
  z.object({
    type: z.literal('workspace.restored'),
    by: userIdSchema,
    /** A run's id stands for the state before it. */
    checkpoint: z.union([runIdSchema, checkpointIdSchema]),
    /** Only these files and folders; none for all of the workspace. */
    paths: z.array(z.string()).default([]),
    /** How it was just before: what else is done since, restoring it without `paths` would undo as well. */
    undo: checkpointIdSchema,
    /** Files. */
    written: z.int().min(0),
    removed: z.int().min(0),
  }),
  z.object({
    type: z.literal('quota.changed'),
    dimension: z.string(),
    of: z.enum(['user', 'agent', 'conversation']),
    /** `freed`: below the limit again, of what does not reset by itself. */
    mark: z.enum(['near', 'spent', 'freed']),
    limit: z.number(),
    used: z.number(),
    /** Milliseconds since the epoch. Null: not by itself. */
    resetsAt: z.int().nullable(),
  }),
  z.object({
    type: z.literal('harness.exited'),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    /** The end of what it wrote to stderr. */
    stderr: z.string(),
  }),
  z.object({
    type: z.literal('egress.requested'),
    requestId: egressRequestIdSchema,
    host: z.string(),
    /** One more of the same request is told by an event of its own. */
    port: z.int(),
    /** Until then connections wait for the decision. */
    expiresAt: z.int(),
  }),
  z.object({
    type: z.literal('egress.resolved'),
    requestId: egressRequestIdSchema,
    host: z.string(),
    /** `ruled`: the rules were changed, and no longer ask. */
    outcome: z.enum(['once', 'agent', 'always', 'denied', 'expired', 'ruled']),
    /** Null where nobody decided. */
    by: userIdSchema.nullable(),
  }),
  z.object({
    type: z.literal('egress.blocked'),
    host: z.string(),
    port: z.int(),
    outcome: z.enum(['denied', 'refused', 'revoked', 'over_quota']),
    message: z.string().nullable(),
  }),
  z.object({ type: z.literal('port.opened'), ...portOwnerFields }),
  z.object({ type: z.literal('port.closed'), ...portOwnerFields }),
] as const;

/** What happened, by `type`. */
export const eventDataSchema = z.discriminatedUnion('type', [...harnessEventSchemas, ...domainEventSchemas]);
export type EventData = z.infer<typeof eventDataSchema>;
export type EventType = EventData['type'];

/** Where and when it happened. `seq` starts at 1 for each agent and has no gaps. */
const envelopeSchema = z.object({
  seq: z.int().positive(),
  agentId: agentIdSchema,
  conversationId: conversationIdSchema.nullable(),
  runId: runIdSchema.nullable(),
  /** Milliseconds since the epoch. */
  at: z.int(),
});

export const eventSchema = z.intersection(envelopeSchema, eventDataSchema);

/** One record of an agent's log: flat, so that a line of JSON reads well. */
export type AgentEvent = z.infer<typeof envelopeSchema> & EventData;

/** An event before the log gave it its number. */
export interface EventDraft {
  readonly conversationId: ConversationIdOrNull;
  readonly runId: RunIdOrNull;
  readonly at: number;
  readonly data: EventData;
}
type ConversationIdOrNull = AgentEvent['conversationId'];
type RunIdOrNull = AgentEvent['runId'];
