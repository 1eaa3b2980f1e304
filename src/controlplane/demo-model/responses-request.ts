import { z } from 'zod';
import { foldToolResults, type ToolResult } from './tool-results.ts';

/**
 * How the caller lets the model act. It depends on the model's name in Codex's catalogue:
 * - `classic`: one tool call an action (`exec_command`, and `apply_patch` where it is offered);
 * - `code`: one tool `exec` that runs JavaScript which calls the other tools;
 * - `none`: the caller offers nothing that runs a command.
 */
export type ToolLayout = { readonly kind: 'classic'; readonly canPatch: boolean } | { readonly kind: 'code' | 'none' };

/** What a request is for: a turn of a conversation, or one of the calls that a harness makes unseen. */
type RequestPurpose = 'turn' | 'title' | 'compaction';

/** The part of a Responses API request that decides the answer. */
export interface ModelRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly purpose: RequestPurpose;
  readonly layout: ToolLayout;
  /** The last thing that the user said; context that the harness adds in the user's name is left out. */
  readonly userText: string;
  /** All that was said in the conversation so far, oldest first, without that context. */
  readonly transcript: readonly Utterance[];
  /** What came of the tool calls made since then, oldest first. */
  readonly results: readonly ToolResult[];
  /** Length of the whole body in characters, from which input tokens are estimated. */
  readonly inputCharacters: number;
}

interface Utterance {
  readonly role: 'user' | 'assistant';
  readonly text: string;
}

const textPart = z.looseObject({ text: z.string().optional() });
const content = z.union([z.string(), z.array(textPart)]);
const tool = z.looseObject({ type: z.string().optional(), name: z.string().optional() });
const item = z.looseObject({
  type: z.string().optional(),
  role: z.string().optional(),
  content: content.nullish(),
  output: content.nullish(),
  tools: z.array(tool).optional(),
});
const body = z.looseObject({
  model: z.string().min(1),
  stream: z.boolean().default(false),
  input: z.union([z.string(), z.array(item)]),
  tools: z.array(tool).nullish(),
  text: z
    .looseObject({
      format: z
        .looseObject({ schema: z.looseObject({ properties: z.record(z.string(), z.unknown()).optional() }).optional() })
        .optional(),
    })
    .nullish(),
});

type Item = z.infer<typeof item>;

/**
 * Reads the body of `POST /v1/responses`. Unknown fields are ignored, as the real service would accept more than is
 * used here.
 *
 * @throws z.ZodError when `model` or `input` is missing or has another shape.
 */
export function parseModelRequest(json: unknown, inputCharacters: number): ModelRequest {
  const parsed = body.parse(json);
  const items: readonly Item[] =
    typeof parsed.input === 'string' ? [{ role: 'user', content: parsed.input }] : parsed.input;
  const asked = items.findLastIndex(isSaidByUser);
  const userText = asked < 0 ? '' : textOf(items[asked]?.content);
  const outputs = items.slice(asked + 1).filter((entry) => entry.type?.endsWith('_call_output') === true);
  return {
    model: parsed.model,
    stream: parsed.stream,
    purpose: purposeOf(userText, Object.keys(parsed.text?.format?.schema?.properties ?? {})),
    layout: layoutOf(items, parsed.tools ?? []),
    userText,
    transcript: items.flatMap(utterance),
    results: foldToolResults(outputs.map((entry) => textParts(entry.output))),
    inputCharacters,
  };
}

function layoutOf(items: readonly Item[], tools: readonly z.infer<typeof tool>[]): ToolLayout {
  const names = new Set(tools.map((entry) => entry.name));
  if (names.has('exec_command')) return { kind: 'classic', canPatch: names.has('apply_patch') };
  return items.some((entry) => entry.type === 'additional_tools') ? { kind: 'code' } : { kind: 'none' };
}

const COMPACTION_PROMPT = 'You are performing a CONTEXT CHECKPOINT COMPACTION';

function purposeOf(userText: string, answerFields: readonly string[]): RequestPurpose {
  if (answerFields.length === 1 && answerFields[0] === 'title') return 'title';
  return userText.startsWith(COMPACTION_PROMPT) ? 'compaction' : 'turn';
}

/** Codex tells the model its surroundings in messages of role `user`, wrapped in a tag or under a fixed heading. */
const HARNESS_CONTEXT = /^\s*(?:<([a-z_]+)>[\s\S]*<\/\1>\s*$|# AGENTS\.md instructions\b)/;

function isSaidByUser(entry: Item): boolean {
  return entry.role === 'user' && !HARNESS_CONTEXT.test(textOf(entry.content));
}

function utterance(entry: Item): Utterance[] {
  if (entry.role !== 'assistant' && !isSaidByUser(entry)) return [];
  return [{ role: entry.role === 'assistant' ? 'assistant' : 'user', text: textOf(entry.content) }];
}

function textOf(value: z.infer<typeof content> | null | undefined): string {
  return textParts(value).join('');
}

function textParts(value: z.infer<typeof content> | null | undefined): readonly string[] {
  if (value === null || value === undefined) return [];
  return typeof value === 'string' ? [value] : value.map((part) => part.text ?? '');
}
