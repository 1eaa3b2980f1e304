import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SessionProjection } from '../../src/acp/projection/session-projection.ts';
import { harnessEventSchema, type HarnessEvent } from '../../src/wire/contract/harness-event.ts';

const chunk = (text: string, messageId?: string) => ({
  sessionUpdate: 'agent_message_chunk',
  ...(messageId === undefined ? {} : { messageId }),
  content: { type: 'text', text },
});
const thought = (text: string, messageId?: string) => ({
  ...chunk(text, messageId),
  sessionUpdate: 'agent_thought_chunk',
});
const tool = (toolCallId: string, more: object = {}) => ({
  sessionUpdate: 'tool_call',
  toolCallId,
  title: toolCallId,
  ...more,
});
const toolUpdate = (toolCallId: string, more: object) => ({ sessionUpdate: 'tool_call_update', toolCallId, ...more });
const retry = {
  sessionUpdate: 'session_info_update',
  _meta: { codex: { error: { message: 'Reconnecting... 1/2', willRetry: true } } },
};
const thread = (type: string) => ({
  sessionUpdate: 'session_info_update',
  _meta: { codex: { threadStatus: { type } } },
});

function typesOf(events: readonly HarnessEvent[]): string[] {
  return events.map((event) => event.type);
}

test('a message is completed by another message, by a thought and by a tool call', () => {
  const projection = new SessionProjection();
  const events = [chunk('a', '1'), chunk('b', '2'), thought('c'), chunk('d', '3'), tool('t'), chunk('e', '3')].flatMap(
    (update) => projection.apply(update),
  );
  expect(typesOf(events)).toEqual([
    'message.delta',
    'message.completed',
    'message.delta',
    'message.completed',
    'thought.delta',
    'message.delta',
    'message.completed',
    'tool.started',
    'message.delta',
  ]);
  const [third, fourth] = events.filter((event) => event.type === 'message.delta').slice(2);
  expect(third?.messageId).not.toBe(fourth?.messageId);
});

test('what is not text stays in its place in the message', () => {
  const projection = new SessionProjection();
  const image = { type: 'image', data: 'aGk=', mimeType: 'image/png' };
  projection.apply(chunk('see ', '1'));
  projection.apply({ sessionUpdate: 'agent_message_chunk', messageId: '1', content: image });
  expect(projection.apply(chunk('!', '1'))).toMatchObject([{ type: 'message.delta', offset: 4 }]);
  expect(projection.endTurn('completed')).toMatchObject([
    {
      content: [
        { type: 'text', text: 'see ' },
        { type: 'other', block: image },
        { type: 'text', text: '!' },
      ],
    },
  ]);
});

test('a message at its bound is completed, and the next begins', () => {
  const projection = new SessionProjection({ longestMessage: 10 });
  const events = ['12345', '67890', 'x'].flatMap((text) => projection.apply(chunk(text, '1')));
  expect(typesOf(events)).toEqual(['message.delta', 'message.delta', 'message.completed', 'message.delta']);
  expect(events.at(-1)).toMatchObject({ offset: 0, delta: 'x' });
});

test.each(['failed', 'canceled', 'timed_out'] as const)('a turn that %s takes its unfinished message back', (state) => {
  const projection = new SessionProjection();
  projection.apply(chunk('half', '1'));
  expect(projection.endTurn(state)).toMatchObject([{ type: 'message.discarded', reason: 'turn_ended' }]);
});

test('a retried model stream takes its message back and is noted', () => {
  const projection = new SessionProjection();
  const [delta] = projection.apply(chunk('half', '1'));
  expect(projection.apply(retry)).toEqual([
    { type: 'message.discarded', messageId: delta?.type === 'message.delta' && delta.messageId, reason: 'model_retry' },
    { type: 'harness.other', sessionUpdate: 'session_info_update', update: retry },
  ]);
  expect(projection.apply(chunk('whole', '1'))).toMatchObject([{ type: 'message.delta', offset: 0 }]);
});

test('the notice after systemError is the failure and no event; any other notice is kept', () => {
  const projection = new SessionProjection({ unnamedChunks: 'notice' });
  projection.beginTurn();
  expect(typesOf(projection.apply(chunk('Warning: careful')))).toEqual(['harness.other']);
  expect(projection.failure).toBeNull();
  projection.apply(thread('systemError'));
  expect(projection.apply(chunk('no '))).toEqual([]);
  expect(projection.apply(chunk('model'))).toEqual([]);
  expect(projection.failure).toBe('no model');
  projection.beginTurn();
  expect(projection.failure).toBeNull();
});

test('a thread that becomes active again has not failed', () => {
  const projection = new SessionProjection();
  projection.apply(thread('systemError'));
  projection.apply(thread('active'));
  expect(projection.failure).toBeNull();
});

test('a tool call tells its output, its diffs and its exit code', () => {
  const projection = new SessionProjection();
  const diff = { type: 'diff', path: '/w/a.txt', oldText: null, newText: 'hi\n' };
  const events = [
    tool('t', {
      kind: 'execute',
      rawInput: { command: 'make' },
      locations: [{ path: '/w/a.txt', line: 3 }],
      content: [{ type: 'terminal', terminalId: 't' }],
    }),
    toolUpdate('t', { _meta: { terminal_output_delta: { data: 'one\n', terminal_id: 't' } } }),
    toolUpdate('t', { title: 'make all', content: [diff, { type: 'content', content: { type: 'text', text: 'ok' } }] }),
    toolUpdate('t', {
      status: 'failed',
      _meta: { terminal_output_delta: { data: 'two\n' }, terminal_exit: { exit_code: 2, signal: null } },
    }),
  ].flatMap((update) => projection.apply(update));
  const content = [diff, { type: 'text', text: 'ok' }];
  expect(events).toEqual([
    {
      type: 'tool.started',
      toolCallId: 't',
      title: 't',
      kind: 'execute',
      input: { command: 'make' },
      locations: ['/w/a.txt'],
      content: [],
    },
    { type: 'tool.updated', toolCallId: 't', output: 'one\n' },
    { type: 'tool.updated', toolCallId: 't', title: 'make all', content },
    { type: 'tool.completed', toolCallId: 't', status: 'failed', exitCode: 2, output: 'two\n', content },
  ]);
});

describe('the whole output of a command, told with its end', () => {
  const megabyte = 1024 * 1024;

  /** The end of a command that streamed these pieces. */
  const endOf = (streamed: readonly string[], whole: string): unknown => {
    const projection = new SessionProjection();
    projection.apply(tool('t', { kind: 'execute' }));
    for (const data of streamed) projection.apply(toolUpdate('t', { _meta: { terminal_output_delta: { data } } }));
    const _meta = { caisson_whole_output: { data: whole }, terminal_exit: { exit_code: 0, signal: null } };
    return projection.apply(toolUpdate('t', { status: 'completed', _meta }))[0];
  };
  const completed = { type: 'tool.completed', toolCallId: 't', status: 'completed', exitCode: 0, content: [] };

  test.for([
    ['its beginning', ['two\n'], 'one\ntwo\n'],
    ['a piece in the middle', ['one\n', 'three\n'], 'one\ntwo\nthree\n'],
    ['half of a character', ['caf', '\uFFFD\n'], 'caf\u00E9\n'],
    ['as much as was never printed', ['two\n', '\n\n\n\n'], 'one\ntwo\n'],
    ['less than was never printed', ['\n\n', 'two\n', '\n\n'], 'one\ntwo\n'],
    ['all but the end of a long one', ['x'], 'y'.repeat(megabyte)],
  ] as const)('replaces what was streamed where that lacks %s', ([, streamed, whole]) => {
    expect(endOf(streamed, whole)).toEqual({ ...completed, output: whole, replacesOutput: true });
  });

  test('is not told again where nothing was lost', () => {
    expect(endOf(['one\n', 'caf\u00E9 \u{1F600}\n'], 'one\ncaf\u00E9 \u{1F600}\n')).toEqual(completed);
    expect(endOf(['x'.repeat(megabyte), 'y'], `${'x'.repeat(megabyte)}y`)).toEqual(completed);
  });

  test('does not replace a longer one when its middle may have been cut out', () => {
    const half = 'x'.repeat(megabyte / 2);
    const cut = `${half}\n[omitted]\n${half}`;
    expect(endOf(['x'.repeat(cut.length), 'x'], cut)).toEqual(completed);
    expect(endOf(['x'.repeat(cut.length - 1)], cut)).toEqual({ ...completed, output: cut, replacesOutput: true });
    // Codex counts bytes: what it cut can be shorter in characters.
    const letters = '\u00E9'.repeat(megabyte / 2);
    expect(endOf([letters, letters], letters)).toEqual(completed);
  });
});

test('a late word about a tool call that has ended is kept, and opens nothing', () => {
  const projection = new SessionProjection();
  projection.apply(tool('t'));
  expect(projection.endTurn('completed')).toMatchObject([{ type: 'tool.completed', status: 'completed' }]);
  const late = toolUpdate('t', { status: 'completed' });
  expect(projection.apply(late)).toEqual([{ type: 'harness.other', sessionUpdate: 'tool_call_update', update: late }]);
  expect(projection.openTools).toBe(0);
});

test('the number of open tool calls is bounded', () => {
  const projection = new SessionProjection();
  const events = Array.from({ length: 1_001 }, (_, index) => projection.apply(tool(`t${index}`))).flat();
  expect(projection.openTools).toBe(1_000);
  expect(events.filter((event) => event.type === 'tool.completed')).toMatchObject([
    { toolCallId: 't0', status: 'failed' },
  ]);
});

const updates = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.string(), fc.constantFrom('1', '2', undefined)).map(([text, id]) => chunk(text, id)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.string(), fc.constantFrom('1', undefined)).map(([text, id]) => thought(text, id)),
  },
  { weight: 2, arbitrary: fc.constantFrom('a', 'b', 'c').map((id) => tool(id)) },
  { weight: 2, arbitrary: fc.constantFrom('a', 'b', 'c').map((id) => toolUpdate(id, { status: 'completed' })) },
  { weight: 1, arbitrary: fc.constant(retry) },
  { weight: 1, arbitrary: fc.jsonValue() },
);

test('offsets are the length of the text before, completions are the whole text, and everything that opens closes once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(updates, { maxLength: 40 }), { maxLength: 4 }),
      fc.constantFrom('completed', 'failed', 'canceled', 'timed_out'),
      (turns, state) => {
        const projection = new SessionProjection({ longestMessage: 50 });
        const texts = new Map<string, string>();
        const closed = new Set<string>();
        const tools = new Map<string, boolean>();
        const check = (event: HarnessEvent): void => {
          harnessEventSchema.parse(event);
          if (event.type === 'message.delta' || event.type === 'thought.delta') {
            const before = texts.get(event.messageId) ?? '';
            expect(closed.has(event.messageId)).toBe(false);
            expect(event.offset).toBe(before.length);
            texts.set(event.messageId, before + event.delta);
          }
          if (event.type === 'message.completed' || event.type === 'message.discarded') {
            expect(closed.has(event.messageId)).toBe(false);
            closed.add(event.messageId);
          }
          if (event.type === 'message.completed') {
            const text = event.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
            expect(text).toBe(texts.get(event.messageId));
          }
          if (event.type === 'tool.started') {
            expect(tools.has(event.toolCallId)).toBe(false);
            tools.set(event.toolCallId, true);
          }
          if (event.type === 'tool.completed') {
            expect(tools.get(event.toolCallId)).toBe(true);
            tools.set(event.toolCallId, false);
          }
        };
        for (const turn of turns) {
          projection.beginTurn().forEach(check);
          for (const update of turn) projection.apply(update).forEach(check);
          projection.endTurn(state).forEach(check);
        }
        expect([...tools.values()].every((isOpen) => !isOpen)).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});

test('a call that was asked for and not allowed is canceled, also where the harness calls it failed', () => {
  const projection = new SessionProjection();
  const end = (toolCallId: string, more: object = {}) =>
    projection.apply(toolUpdate(toolCallId, { status: 'failed', ...more }));
  for (const toolCallId of ['refused', 'allowed', 'asked twice', 'ran']) projection.apply(tool(toolCallId));
  projection.permissionEnded('refused', 'rejected');
  projection.permissionEnded('not yet known', 'expired');
  projection.permissionEnded('allowed', 'allowed');
  projection.permissionEnded('asked twice', 'rejected');
  projection.permissionEnded('asked twice', 'allowed');
  projection.permissionEnded('ran', 'canceled');
  projection.apply(tool('not yet known'));
  expect(end('refused')).toMatchObject([{ status: 'canceled' }]);
  expect(end('not yet known')).toMatchObject([{ status: 'canceled' }]);
  expect(end('allowed')).toMatchObject([{ status: 'failed' }]);
  expect(end('asked twice')).toMatchObject([{ status: 'failed' }]);
  expect(end('ran', { _meta: { terminal_exit: { exit_code: 1 } } })).toMatchObject([{ status: 'failed', exitCode: 1 }]);
});

test('a call that fails while its turn is stopped is canceled, and what was done is done', () => {
  const projection = new SessionProjection();
  const end = (toolCallId: string, status: string) => projection.apply(toolUpdate(toolCallId, { status }));
  for (const toolCallId of ['before', 'failed', 'done']) projection.apply(tool(toolCallId));
  expect(end('before', 'failed')).toMatchObject([{ status: 'failed' }]);
  projection.stopTurn();
  expect(end('failed', 'failed')).toMatchObject([{ status: 'canceled' }]);
  expect(end('done', 'completed')).toMatchObject([{ status: 'completed' }]);
  projection.beginTurn();
  projection.apply(tool('next'));
  expect(end('next', 'failed')).toMatchObject([{ status: 'failed' }]);
});
