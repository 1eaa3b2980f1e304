import * as z from 'zod';
import { conversationIdSchema, runIdSchema } from '../../kernel/ids.ts';
import { harnessEventSchema } from './harness-event.ts';
import { journalBounds, lastMoment } from './journal-bounds.ts';
import { portOwnerFields } from './ports.ts';
import { sessionOfferSchema } from './session-offer.ts';
import { turnOutcomeSchema } from './turn.ts';

const word = z.string().max(journalBounds.word);

export const journalBodySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('harness.started'), harness: word, version: word }),
  z.object({
    type: z.literal('harness.exited'),
    exitCode: z.int().nullable(),
    signal: word.nullable(),
    /** The last 4 KiB of its stderr. */
    stderr: z.string().max(journalBounds.stderr),
  }),
  z.object({
    type: z.literal('session.opened'),
    conversationId: conversationIdSchema,
    sessionId: z.string().max(journalBounds.id),
    /** `new` after a conversation had a session before means that the harness lost it. */
    how: z.enum(['new', 'loaded', 'resumed']),
    ...sessionOfferSchema.shape,
  }),
  z.object({ type: z.literal('turn.started'), runId: runIdSchema, conversationId: conversationIdSchema }),
  z.object({
    type: z.literal('turn.ended'),
    runId: runIdSchema,
    conversationId: conversationIdSchema,
    outcome: turnOutcomeSchema,
  }),
  z.object({
    type: z.literal('event'),
    conversationId: conversationIdSchema,
    /** Null for what a harness does between turns. */
    runId: runIdSchema.nullable(),
    event: harnessEventSchema,
  }),
  /** Something listens on a port of the sandbox, or no longer. */
  z.object({ type: z.literal('port.opened'), ...portOwnerFields }),
  z.object({ type: z.literal('port.closed'), ...portOwnerFields }),
]);
export type JournalBody = z.infer<typeof journalBodySchema>;

/** One record of the guest's journal: `seq` starts at 1 in each incarnation and has no gaps. */
export const journalEntrySchema = z.object({
  seq: z.int().positive(),
  /** Milliseconds since the epoch, by the guest's clock. */
  at: z.int().min(0).max(lastMoment),
  body: journalBodySchema,
});
export type JournalEntry = z.infer<typeof journalEntrySchema>;
