import * as z from 'zod';
import type { ToolContent } from '../../wire/contract/harness-event.ts';
import type { JsonValue } from '../../wire/contract/json-value.ts';
import type { AcpToolCall } from './updates.ts';

const textContent = z.object({
  type: z.literal('content'),
  content: z.object({ type: z.literal('text'), text: z.string() }),
});
const diffContent = z.object({
  type: z.literal('diff'),
  path: z.string(),
  oldText: z.string().nullish(),
  newText: z.string(),
});

/**
 * ACP tool content in Caisson's words. A reference to a terminal is left out: Caisson offers none to the harness, and
 * what a command prints comes as `output`.
 */
export function toolContent(blocks: readonly Readonly<Record<string, JsonValue>>[]): ToolContent[] {
  return blocks.filter((block) => block['type'] !== 'terminal').map(toolBlock);
}

function toolBlock(block: Readonly<Record<string, JsonValue>>): ToolContent {
  const text = textContent.safeParse(block);
  if (text.success) return { type: 'text', text: text.data.content.text };
  const diff = diffContent.safeParse(block);
  if (!diff.success) return { type: 'other', block: { ...block } };
  const { path, oldText, newText } = diff.data;
  return { type: 'diff', path, oldText: oldText ?? null, newText };
}

const rawExit = z.object({ exit_code: z.int().nullable() });

/** The exit code that an update tells of a command; undefined where it tells none. */
export function exitCodeOf(call: AcpToolCall): number | null | undefined {
  const exit = call._meta?.terminal_exit;
  if (exit !== undefined) return exit.exit_code;
  const raw = rawExit.safeParse(call.rawOutput);
  return raw.success ? raw.data.exit_code : undefined;
}

/** The piece of a command's output that an update brings. */
export function outputOf(call: AcpToolCall): string | undefined {
  return call._meta?.terminal_output_delta?.data;
}

/** The whole output of a command that has ended, where the harness tells it again. */
export function wholeOutputOf(call: AcpToolCall): string | undefined {
  return call._meta?.caisson_whole_output?.data;
}
