import * as z from 'zod';
import type { JsonValue } from '../../wire/contract/json-value.ts';

/** Whatever stands in a message of the harness is JSON: it was read from a line of it. The sink bounds it. */
const json = z.custom<JsonValue>((value) => value !== undefined);
const jsonOrNull = json.catch(null);
const jsonObject = z.record(z.string(), json);

/** A message of the harness, or a part of one, as JSON; what is not there is null. */
export function readJson(value: unknown): JsonValue {
  return jsonOrNull.parse(value);
}

const contentSchema = z.union([z.object({ type: z.literal('text'), text: z.string() }), jsonObject]);
export type AcpContent = z.infer<typeof contentSchema>;

export function isText(content: AcpContent): content is { type: 'text'; text: string } {
  return content['type'] === 'text' && typeof content['text'] === 'string';
}

const chunk = { messageId: z.string().nullish(), content: contentSchema };

/**
 * What codex-acp says beside the protocol, in `_meta`: the output and end of a command. With the end the sandbox image's one
 * also tells the whole output, where it was streamed (`scripts/whole-command-output.ts`).
 */
const terminalMeta = z.object({
  terminal_output_delta: z.object({ data: z.string() }).optional().catch(undefined),
  caisson_whole_output: z.object({ data: z.string() }).optional().catch(undefined),
  terminal_exit: z.object({ exit_code: z.int().nullable() }).optional().catch(undefined),
});

const toolFields = {
  toolCallId: z.string(),
  title: z.string().nullish(),
  kind: z.string().nullish(),
  status: z.enum(['pending', 'in_progress', 'completed', 'failed']).nullish(),
  content: z.array(jsonObject).nullish(),
  locations: z.array(z.object({ path: z.string() })).nullish(),
  rawInput: json.optional(),
  rawOutput: json.optional(),
  _meta: terminalMeta.nullish(),
};

/** The tool call of an update, and of a permission request. */
export const toolCallSchema = z.object(toolFields);
export type AcpToolCall = z.infer<typeof toolCallSchema>;

/** codex-acp reports the state of its thread, and errors that it works on, in `_meta.codex`. */
const codexMeta = z.object({
  threadStatus: z.object({ type: z.string() }).optional(),
  error: z.object({ message: z.string(), willRetry: z.boolean().default(false) }).optional(),
});
export type CodexMeta = z.infer<typeof codexMeta>;

/**
 * The `session/update`s that Caisson has words for. The SDK does not export its own schemas and drops what they refuse;
 * whatever does not fit here is kept as `harness.other` instead.
 */
export const updateSchema = z.discriminatedUnion('sessionUpdate', [
  z.object({ sessionUpdate: z.literal('agent_message_chunk'), ...chunk }),
  z.object({ sessionUpdate: z.literal('agent_thought_chunk'), ...chunk }),
  z.object({ sessionUpdate: z.literal('tool_call'), ...toolFields }),
  z.object({ sessionUpdate: z.literal('tool_call_update'), ...toolFields }),
  z.object({
    sessionUpdate: z.literal('plan'),
    entries: z.array(z.object({ content: z.string(), priority: z.string(), status: z.string() })),
  }),
  z.object({ sessionUpdate: z.literal('usage_update'), used: z.int(), size: z.int() }),
  z.object({
    sessionUpdate: z.literal('session_info_update'),
    title: z.string().nullish(),
    _meta: z.object({ codex: codexMeta.optional().catch(undefined) }).nullish(),
  }),
]);

const namedSchema = z.object({ sessionUpdate: z.string() });

/** The name of an update that did not fit, as far as it has one. */
export function updateName(update: unknown): string {
  const named = namedSchema.safeParse(update);
  return named.success ? named.data.sessionUpdate : 'unnamed';
}
