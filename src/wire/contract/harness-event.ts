import { z } from 'zod';
import { messageIdSchema, permissionIdSchema } from '../../kernel/ids.ts';
import { choiceIdSchema } from './session-offer.ts';

/** A piece of what an agent said. What is not text stays as the ACP content block that the harness sent. */
export const contentBlockSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('other'), block: z.json() }),
]);
export type ContentBlock = z.infer<typeof contentBlockSchema>;

export const permissionOptionSchema = z.object({
  optionId: z.string(),
  name: z.string(),
  /** As in ACP. */
  kind: z.enum(['allow_once', 'allow_always', 'reject_once', 'reject_always']),
});
export type PermissionOption = z.infer<typeof permissionOptionSchema>;

/** `allowed` names the option that was chosen. Every other outcome ends Codex's turn. */
export const permissionOutcomeSchema = z.enum(['allowed', 'rejected', 'expired', 'canceled']);
export type PermissionOutcome = z.infer<typeof permissionOutcomeSchema>;

export const toolContentSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('diff'), path: z.string(), oldText: z.string().nullable(), newText: z.string() }),
  z.object({ type: z.literal('other'), block: z.json() }),
]);
export type ToolContent = z.infer<typeof toolContentSchema>;

/**
 * What a harness did, in Caisson's words. Deltas are provisional until `message.completed`, which carries the whole
 * content, or `message.discarded`, after which the message never was: the harness threw the attempt away.
 * `offset` counts UTF-16 code units of the message so far, so that a reader can see a gap or a repeat.
 */
export const harnessEventSchemas = [
  z.object({ type: z.literal('message.delta'), messageId: messageIdSchema, delta: z.string(), offset: z.int().min(0) }),
  z.object({ type: z.literal('message.completed'), messageId: messageIdSchema, content: z.array(contentBlockSchema) }),
  z.object({
    type: z.literal('message.discarded'),
    messageId: messageIdSchema,
    reason: z.enum(['model_retry', 'turn_ended']),
  }),
  z.object({ type: z.literal('thought.delta'), messageId: messageIdSchema, delta: z.string(), offset: z.int().min(0) }),
  z.object({
    type: z.literal('tool.started'),
    toolCallId: z.string(),
    title: z.string(),
    /** As in ACP: read, edit, delete, move, search, execute, think, fetch, other … */
    kind: z.string(),
    input: z.json().optional(),
    /** Absolute paths in the sandbox. */
    locations: z.array(z.string()),
    content: z.array(toolContentSchema),
  }),
  z.object({
    type: z.literal('tool.updated'),
    toolCallId: z.string(),
    title: z.string().optional(),
    /** Output of a command since the last update. */
    output: z.string().optional(),
    content: z.array(toolContentSchema).optional(),
  }),
  z.object({
    type: z.literal('tool.completed'),
    toolCallId: z.string(),
    status: z.enum(['completed', 'failed', 'canceled']),
    exitCode: z.int().nullable(),
    /** The last output of a command, when the harness sends it with the end. */
    output: z.string().optional(),
    content: z.array(toolContentSchema),
  }),
  z.object({
    type: z.literal('plan.updated'),
    entries: z.array(z.object({ content: z.string(), priority: z.string(), status: z.string() })),
  }),
  z.object({
    type: z.literal('permission.requested'),
    permissionId: permissionIdSchema,
    toolCallId: z.string(),
    title: z.string(),
    kind: z.string(),
    input: z.json().optional(),
    content: z.array(toolContentSchema),
    options: z.array(permissionOptionSchema),
    /** Milliseconds since the epoch, by the guest's clock. The guest itself answers `expired` at this time. */
    expiresAt: z.int(),
  }),
  z.object({
    type: z.literal('permission.resolved'),
    permissionId: permissionIdSchema,
    outcome: permissionOutcomeSchema,
    optionId: z.string().nullable(),
    /** The principal who answered; null when nobody did. */
    resolvedBy: z.string().nullable(),
  }),
  /** The harness went over to another mode by itself; the conversation goes on in that one. */
  z.object({ type: z.literal('session.updated'), mode: choiceIdSchema }),
  /** How full the model's context is, in tokens. */
  z.object({ type: z.literal('usage.updated'), used: z.int(), size: z.int() }),
  /** An update that Caisson has no word for, as the harness sent it. */
  z.object({ type: z.literal('harness.other'), sessionUpdate: z.string(), update: z.json() }),
] as const;

export const harnessEventSchema = z.discriminatedUnion('type', harnessEventSchemas);
export type HarnessEvent = z.infer<typeof harnessEventSchema>;
