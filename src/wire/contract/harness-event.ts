import * as z from 'zod';
import { messageIdSchema, permissionIdSchema } from '../../kernel/ids.ts';
import { journalBounds, lastMoment } from './journal-bounds.ts';
import { boundedArray, jsonValueSchema } from './json-value.ts';
import { choiceIdSchema } from './session-offer.ts';

const id = z.string().max(journalBounds.id);
const word = z.string().max(journalBounds.word);
const title = z.string().max(journalBounds.title);
const path = z.string().max(journalBounds.path);

/** A piece of what an agent said. What is not text stays as the ACP content block that the harness sent. */
export const contentBlockSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('other'), block: jsonValueSchema }),
]);
export type ContentBlock = z.infer<typeof contentBlockSchema>;

export const permissionOptionSchema = z.object({
  optionId: id,
  name: z.string().max(journalBounds.optionName),
  /** As in ACP. */
  kind: z.enum(['allow_once', 'allow_always', 'reject_once', 'reject_always']),
});
export type PermissionOption = z.infer<typeof permissionOptionSchema>;

/** `allowed` names the option that was chosen. Every other outcome ends Codex's turn. */
export const permissionOutcomeSchema = z.enum(['allowed', 'rejected', 'expired', 'canceled']);
export type PermissionOutcome = z.infer<typeof permissionOutcomeSchema>;

export const toolContentSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('diff'), path, oldText: z.string().nullable(), newText: z.string() }),
  z.object({ type: z.literal('other'), block: jsonValueSchema }),
]);
export type ToolContent = z.infer<typeof toolContentSchema>;

const toolContents = boundedArray(toolContentSchema, journalBounds.blocks);

/**
 * With `output`: the command's output begins anew with it, and what was told of it before does not count. A harness may lose pieces
 * while a command runs, and tell the whole when it has ended.
 */
const replacesOutput = z.literal(true).optional();

/**
 * What a harness did, in Caisson's words. Deltas are provisional until `message.completed`, which carries the whole
 * content, or `message.discarded`, after which the message never was: the harness threw the attempt away.
 * `offset` counts UTF-16 code units of the message so far, so that a reader can see a gap or a repeat.
 */
export const harnessEventSchemas = [
  z.object({ type: z.literal('message.delta'), messageId: messageIdSchema, delta: z.string(), offset: z.int().min(0) }),
  z.object({
    type: z.literal('message.completed'),
    messageId: messageIdSchema,
    content: boundedArray(contentBlockSchema, journalBounds.blocks),
  }),
  z.object({
    type: z.literal('message.discarded'),
    messageId: messageIdSchema,
    reason: z.enum(['model_retry', 'turn_ended']),
  }),
  z.object({ type: z.literal('thought.delta'), messageId: messageIdSchema, delta: z.string(), offset: z.int().min(0) }),
  z.object({
    type: z.literal('tool.started'),
    toolCallId: id,
    title,
    /** As in ACP: read, edit, delete, move, search, execute, think, fetch, other … */
    kind: word,
    input: jsonValueSchema.optional(),
    /** Absolute paths in the sandbox. */
    locations: boundedArray(path, journalBounds.locations),
    content: toolContents,
  }),
  z.object({
    type: z.literal('tool.updated'),
    toolCallId: id,
    title: title.optional(),
    /** Output of a command since the last update. */
    output: z.string().optional(),
    replacesOutput,
    content: toolContents.optional(),
  }),
  z.object({
    type: z.literal('tool.completed'),
    toolCallId: id,
    status: z.enum(['completed', 'failed', 'canceled']),
    exitCode: z.int().nullable(),
    /** The last output of a command, when the harness sends it with the end. */
    output: z.string().optional(),
    replacesOutput,
    content: toolContents,
  }),
  z.object({
    type: z.literal('plan.updated'),
    entries: boundedArray(
      z.object({ content: z.string().max(journalBounds.planText), priority: word, status: word }),
      journalBounds.planEntries,
    ),
  }),
  z.object({
    type: z.literal('permission.requested'),
    permissionId: permissionIdSchema,
    toolCallId: id,
    title,
    kind: word,
    input: jsonValueSchema.optional(),
    content: toolContents,
    options: boundedArray(permissionOptionSchema, journalBounds.options),
    /** Milliseconds since the epoch, by the guest's clock. The guest itself answers `expired` at this time. */
    expiresAt: z.int().min(0).max(lastMoment),
  }),
  z.object({
    type: z.literal('permission.resolved'),
    permissionId: permissionIdSchema,
    outcome: permissionOutcomeSchema,
    optionId: id.nullable(),
    /** The principal who answered; null when nobody did. */
    resolvedBy: word.nullable(),
  }),
  /** The harness went over to another mode by itself; the conversation goes on in that one. */
  z.object({ type: z.literal('session.updated'), mode: choiceIdSchema }),
  /** How full the model's context is, in tokens. */
  z.object({ type: z.literal('usage.updated'), used: z.int(), size: z.int() }),
  /** An update that Caisson has no word for, as the harness sent it. */
  z.object({ type: z.literal('harness.other'), sessionUpdate: word, update: jsonValueSchema }),
] as const;

export const harnessEventSchema = z.discriminatedUnion('type', harnessEventSchemas);
export type HarnessEvent = z.infer<typeof harnessEventSchema>;
