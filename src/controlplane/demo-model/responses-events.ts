import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelRequest } from './responses-request.ts';
import type { Reply } from './step.ts';
import { callItem, newId, type CallItem } from './tool-calls.ts';

/** An event of the Responses API's stream. Its `type` names it, also in the SSE frame. */
export interface ResponseEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface EventOptions {
  /** Pause before each text delta, in milliseconds; a reply may set its own. */
  readonly delayMs: number;
  readonly signal: AbortSignal;
}

/**
 * Plays a reply as the event stream of one response: its text as deltas, then its tool call, then
 * `response.completed` with the whole response and its usage. Tokens are estimated at four characters each.
 *
 * @throws AbortError when the signal fires during a pause.
 */
export async function* responseEvents(
  reply: Reply,
  request: ModelRequest,
  options: EventOptions,
): AsyncGenerator<ResponseEvent, void, void> {
  const response = { id: newId('resp'), object: 'response', created_at: unixSeconds(), model: request.model };
  const output: object[] = [];
  let outputCharacters = 0;
  yield { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } };

  if (reply.thought !== undefined) {
    outputCharacters += reply.thought.length;
    output.push(yield* thoughtEvents(reply.thought, output.length));
  }
  if (reply.deltas !== undefined) {
    const message = yield* messageEvents(reply.deltas, output.length, reply.delayMs ?? options.delayMs, options.signal);
    outputCharacters += message.characters;
    output.push(message.item);
  }
  if (reply.call !== undefined) {
    const item = callItem(reply.call, request.layout);
    outputCharacters += argumentsOf(item).length;
    yield* callEvents(item, output.length);
    output.push({ ...item, status: 'completed' });
  }
  const usage = usageOf(request.inputCharacters, outputCharacters);
  yield { type: 'response.completed', response: { ...response, status: 'completed', output, usage } };
}

/** A response that fails after its headers were sent, as the service reports trouble during generation. */
export function failedEvents(request: ModelRequest, error: { code: string; message: string }): ResponseEvent[] {
  const response = { id: newId('resp'), object: 'response', created_at: unixSeconds(), model: request.model };
  return [
    { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
    { type: 'response.failed', response: { ...response, status: 'failed', output: [], error } },
  ];
}

async function* messageEvents(
  deltas: Iterable<string>,
  outputIndex: number,
  delayMs: number,
  signal: AbortSignal,
): AsyncGenerator<ResponseEvent, { item: object; characters: number }, void> {
  const id = newId('msg');
  const place = { item_id: id, output_index: outputIndex, content_index: 0 };
  const message = { type: 'message', id, role: 'assistant' };
  const parts: string[] = [];
  yield {
    type: 'response.output_item.added',
    output_index: outputIndex,
    item: { ...message, status: 'in_progress', content: [] },
  };
  yield { type: 'response.content_part.added', ...place, part: outputText('') };
  for (const delta of deltas) {
    if (delayMs > 0) await sleep(delayMs, undefined, { signal });
    parts.push(delta);
    yield { type: 'response.output_text.delta', ...place, delta };
  }
  const text = parts.join('');
  const item = { ...message, status: 'completed', content: [outputText(text)] };
  yield { type: 'response.output_text.done', ...place, text };
  yield { type: 'response.content_part.done', ...place, part: outputText(text) };
  yield { type: 'response.output_item.done', output_index: outputIndex, item };
  return { item, characters: text.length };
}

function* thoughtEvents(thought: string, outputIndex: number): Generator<ResponseEvent, object, void> {
  const id = newId('rs');
  const place = { item_id: id, output_index: outputIndex, summary_index: 0 };
  const item = { type: 'reasoning', id, summary: [{ type: 'summary_text', text: thought }] };
  yield { type: 'response.output_item.added', output_index: outputIndex, item: { ...item, summary: [] } };
  yield { type: 'response.reasoning_summary_part.added', ...place, part: { type: 'summary_text', text: '' } };
  yield { type: 'response.reasoning_summary_text.delta', ...place, delta: thought };
  yield { type: 'response.reasoning_summary_text.done', ...place, text: thought };
  yield { type: 'response.output_item.done', output_index: outputIndex, item };
  return item;
}

function* callEvents(item: CallItem, outputIndex: number): Generator<ResponseEvent, void, void> {
  const place = { item_id: item.id, output_index: outputIndex };
  const filled = item.type === 'function_call' ? 'function_call_arguments' : 'custom_tool_call_input';
  const empty = item.type === 'function_call' ? { ...item, arguments: '' } : { ...item, input: '' };
  yield { type: 'response.output_item.added', output_index: outputIndex, item: { ...empty, status: 'in_progress' } };
  yield { type: `response.${filled}.delta`, ...place, delta: argumentsOf(item) };
  yield {
    type: `response.${filled}.done`,
    ...place,
    [item.type === 'function_call' ? 'arguments' : 'input']: argumentsOf(item),
  };
  yield { type: 'response.output_item.done', output_index: outputIndex, item: { ...item, status: 'completed' } };
}

function argumentsOf(item: CallItem): string {
  return item.type === 'function_call' ? item.arguments : item.input;
}

function outputText(text: string): object {
  return { type: 'output_text', text, annotations: [] };
}

function usageOf(inputCharacters: number, outputCharacters: number): object {
  const input = Math.ceil(inputCharacters / 4);
  const output = Math.ceil(outputCharacters / 4);
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + output,
  };
}

function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
