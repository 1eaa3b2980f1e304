import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chatCompletionsApi } from '../../../src/controlplane/model-gateway/apis/chat-completions.ts';
import { messagesApi } from '../../../src/controlplane/model-gateway/apis/messages.ts';
import { type ModelApi, sseEvent } from '../../../src/controlplane/model-gateway/apis/model-api.ts';
import { responsesApi } from '../../../src/controlplane/model-gateway/apis/responses.ts';
import { UsageReader } from '../../../src/controlplane/model-gateway/usage-reader.ts';

const event = (type: string, fields: object = {}): string => sseEvent({ type, ...fields }, type);

/** Events of each API, with and without their names, and what only looks like them. */
const pieces: Readonly<Record<ModelApi['name'], readonly string[]>> = {
  responses: [
    event('response.created', { response: { model: 'gpt-5.5' } }),
    event('response.output_text.delta', { delta: 'a word' }),
    event('response.output_text.delta', { delta: '"type":"response.completed" '.repeat(20) }),
    sseEvent({ type: 'response.output_text.delta', delta: 'ä€🐳'.repeat(100) }),
    event('response.completed', { response: { usage: { input_tokens: 30, output_tokens: 4 } } }),
    sseEvent({ type: 'response.failed', response: {} }),
  ],
  messages: [
    event('message_start', { message: { model: 'claude', usage: { input_tokens: 5, output_tokens: 1 } } }),
    event('content_block_delta', { delta: { text: 'a word' } }),
    event('message_delta', { usage: { output_tokens: 9 } }),
    event('message_stop'),
    'event: message_stop\ndata: no JSON\n\n',
  ],
  chat_completions: [
    sseEvent({ model: 'm', choices: [{ delta: { content: 'a word' } }] }),
    sseEvent({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 7 } }),
    sseEvent({ error: { code: 'server_error' } }),
    'data: [DONE]\n\n',
  ],
};
const strange = [
  '\n',
  '\r\n',
  ': ping\n\n',
  'data:',
  'event: error\n',
  'id: 7\r\ndata: {"a":1}\r\n\r\n',
  'data: {"half',
];

function readIn(api: ModelApi, body: Buffer, lengths: readonly number[]): UsageReader {
  const reader = new UsageReader(api, 'text/event-stream');
  let rest = body;
  for (const length of lengths) {
    reader.read(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  reader.read(rest);
  return reader;
}

function told({ model, tokens, isToldWhole, ending, outputEstimate, isBetweenEvents }: UsageReader): object {
  return { model, tokens, isToldWhole, ending, outputEstimate, isBetweenEvents };
}

describe.each([responsesApi, messagesApi, chatCompletionsApi])('a stream of $name', (api) => {
  const body = fc
    .array(fc.constantFrom(...pieces[api.name], ...strange), { maxLength: 12 })
    .map((parts) => Buffer.from(parts.join('')));

  test('tells the same in whatever pieces it comes', () => {
    fc.assert(
      fc.property(body, fc.array(fc.integer({ min: 0, max: 300 })), (bytes, lengths) => {
        expect(told(readIn(api, bytes, lengths))).toEqual(told(readIn(api, bytes, [])));
      }),
      { numRuns: 2_000 },
    );
  });

  test('is found to be between two events where it is', () => {
    fc.assert(
      fc.property(body, fc.nat(), (bytes, cut) => {
        const at = bytes.length === 0 ? 0 : cut % bytes.length;
        const reader = new UsageReader(api, 'text/event-stream');
        reader.read(bytes.subarray(0, at));
        const before = at === 0 || /(^|\n)\r?\n$/.test(bytes.toString('latin1', 0, at));
        expect(reader.isBetweenEvents).toBe(before);
        const rest = bytes.subarray(at);
        reader.read(rest);
        const ends = [...bytes.toString('latin1').matchAll(/(?<=^|\n)\r?\n/g)].map(
          (match) => match.index + match[0].length,
        );
        expect(reader.eventEnd).toBe((ends.findLast((end) => end > at) ?? at - 1) - at);
      }),
      { numRuns: 500 },
    );
  });
});
