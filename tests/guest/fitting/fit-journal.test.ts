import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { SessionProjection } from '../../../src/acp/projection/session-projection.ts';
import { Journal } from '../../../src/guest/journal.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { newConversationId, newPermissionId, newRunId } from '../../../src/kernel/ids.ts';
import { maxJournalLineBytes, maxPermissionLineBytes } from '../../../src/wire/contract/guest-api.ts';
import type { HarnessEvent } from '../../../src/wire/contract/harness-event.ts';
import { journalLineShape } from '../../../src/wire/contract/journal-bounds.ts';
import { type JournalBody, journalEntrySchema } from '../../../src/wire/contract/journal-entry.ts';
import { hasJsonShape } from '../../../src/wire/json-shape.ts';

const conversationId = newConversationId();
const megabyte = 1_000_000;

/** What a control plane reads of it: every line is within the bounds of the contract. */
function journaled(...bodies: readonly JournalBody[]): JournalBody[] {
  const journal = new Journal({ clock: systemClock });
  for (const body of bodies) journal.append(body);
  const lines = journal.attach(0, { available: () => undefined, displaced: () => undefined }).take(Infinity);
  return lines
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      expect(Buffer.byteLength(line)).toBeLessThan(maxJournalLineBytes);
      expect(hasJsonShape(line, journalLineShape)).toBe(true);
      const { body } = journalEntrySchema.parse(JSON.parse(line));
      const isRequest = body.type === 'event' && body.event.type === 'permission.requested';
      if (isRequest) expect(Buffer.byteLength(line)).toBeLessThan(maxPermissionLineBytes);
      return body;
    });
}

const told = (events: readonly HarnessEvent[]): HarnessEvent[] =>
  journaled(...events.map((event) => ({ type: 'event', conversationId, runId: null, event }) as const)).map((body) => {
    if (body.type !== 'event') throw new Error(`a ${body.type} came out of an event`);
    return body.event;
  });

/** Updates of a session, and the end of its turn, as the journal tells them. */
const updated = (...updates: readonly unknown[]): HarnessEvent[] => {
  const projection = new SessionProjection();
  return told([...updates.flatMap((update) => projection.apply(update)), ...projection.endTurn('completed')]);
};

const chunk = (text: string) => ({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } });

test.for([
  ['plain', 'x'.repeat(3 * megabyte)],
  ['escaped', '\u0001"\\\n'.repeat(megabyte)],
  ['wide', '漢字🛠'.repeat(megabyte / 2)],
] as const)('a message of %s text that no line can hold is split, and nothing of it is lost', ([, text]) => {
  const events = updated(chunk(text.slice(0, 100)), chunk(text.slice(100)));
  const deltas = events.flatMap((event) => (event.type === 'message.delta' ? [event.delta] : []));
  const whole = events.flatMap((event) => (event.type === 'message.completed' ? event.content : []));
  expect(deltas.join('')).toBe(text);
  expect(whole.map((block) => (block.type === 'text' ? block.text : '')).join('')).toBe(text);
});

test('a message of 800,000 letters stays one', () => {
  const text = 'A line of a long answer.'.repeat(800_000 / 24).slice(0, 800_000);
  expect(updated(chunk(text)).filter(({ type }) => type === 'message.completed')).toMatchObject([
    { content: [{ type: 'text', text }] },
  ]);
});

test('thoughts and the output of commands that no line can hold go on in further entries', () => {
  const text = 'one\ttwo\n'.repeat(megabyte / 2);
  const output = (status?: string) => ({
    sessionUpdate: 'tool_call_update',
    toolCallId: 't',
    ...(status === undefined ? {} : { status }),
    _meta: { terminal_output_delta: { data: text } },
  });
  const events = updated(
    { sessionUpdate: 'agent_thought_chunk', content: { type: 'text', text } },
    { sessionUpdate: 'tool_call', toolCallId: 't', title: 'make' },
    output(),
    output('completed'),
  );
  const thoughts = events.flatMap((event) => (event.type === 'thought.delta' ? [event] : []));
  expect(thoughts.map(({ delta }) => delta).join('')).toBe(text);
  for (const [index, { offset }] of thoughts.entries()) {
    expect(offset).toBe(thoughts.slice(0, index).reduce((sum, { delta }) => sum + delta.length, 0));
  }
  const printed = events.flatMap((event) => ('output' in event ? [event.output] : []));
  expect(printed.join('')).toBe(text + text);
  expect(events.at(-1)?.type).toBe('tool.completed');
});

test('a whole output that no line can hold begins anew once, and goes on in further entries', () => {
  const text = 'one\ttwo\n'.repeat(megabyte / 10);
  const events = updated(
    { sessionUpdate: 'tool_call', toolCallId: 't', title: 'make' },
    { sessionUpdate: 'tool_call_update', toolCallId: 't', _meta: { terminal_output_delta: { data: 'lost' } } },
    {
      sessionUpdate: 'tool_call_update',
      toolCallId: 't',
      status: 'completed',
      _meta: { caisson_whole_output: { data: text } },
    },
  );
  const outputs = events.flatMap((event) => ('output' in event ? [event] : []));
  expect(outputs.map(({ replacesOutput }) => replacesOutput)).toEqual(
    outputs.map((_, index) => (index === 1 ? true : undefined)),
  );
  expect(outputs[0]?.output).toBe('lost');
  expect(
    outputs
      .slice(1)
      .map(({ output }) => output)
      .join(''),
  ).toBe(text);
  expect(outputs.at(-1)?.type).toBe('tool.completed');
});

test('the diff of two files of 5 MB shows the change', () => {
  const lines = Array.from({ length: 100_000 }, (_, index) => `${index} ${'x'.repeat(45)}`);
  const oldText = lines.join('\n');
  const newText = lines.with(60_000, 'the change').join('\n');
  const [event] = updated({
    sessionUpdate: 'tool_call',
    toolCallId: 't',
    content: [{ type: 'diff', path: '/workspace/a', oldText, newText }],
  });
  const diff = event?.type === 'tool.started' && event.content[0]?.type === 'diff' ? event.content[0] : undefined;
  expect(diff?.newText).toContain('\nthe change\n');
  expect(diff?.oldText).toContain('\n60000 xxx');
  expect(diff?.oldText).toMatch(/^… \[\d+ characters that are the same left out\] …\n/);
});

test('a large result, a large input and a large unknown update are shortened in place, with their sizes', () => {
  const text = 'result '.repeat(megabyte);
  const events = updated(
    {
      sessionUpdate: 'tool_call',
      toolCallId: 't',
      rawInput: { path: '/workspace/a', content: text },
      content: [
        { type: 'content', content: { type: 'text', text: 'a small one' } },
        { type: 'content', content: { type: 'text', text } },
      ],
    },
    { sessionUpdate: 'something_new', note: 'short', data: text },
  );
  const mark = new RegExp(`^result .*of ${text.length} characters left out.*result $`, 's');
  expect(events[0]).toMatchObject({
    type: 'tool.started',
    input: { path: '/workspace/a', content: expect.stringMatching(mark) },
    content: [
      { type: 'text', text: 'a small one' },
      { type: 'text', text: expect.stringMatching(mark) },
    ],
  });
  expect(events[1]).toMatchObject({
    sessionUpdate: 'something_new',
    update: { note: 'short', data: expect.stringMatching(mark) },
  });
});

test('JSON that is nested a million deep, or holds a million values, is told as far as it may be', () => {
  const deep: unknown = JSON.parse(`${'['.repeat(megabyte)}1${']'.repeat(megabyte)}`);
  const wide = Array.from({ length: megabyte }, () => ({}));
  const [first, second, third] = updated(
    { sessionUpdate: 'deep', deep },
    { sessionUpdate: 'wide', wide },
    { sessionUpdate: 'agent_message_chunk', content: { type: 'image', deep } },
  );
  expect(JSON.stringify(first)).toContain('[nested parts left out]');
  expect(JSON.stringify(second)).toMatch(/\[\d+ of 1000000 items left out\]/);
  expect(JSON.stringify(third)).toContain('[nested parts left out]');
});

test('a permission request is never lost for its size', () => {
  const [text, long] = ['\u0001'.repeat(4_000), '\u0001'.repeat(megabyte)];
  const events = told([
    {
      type: 'permission.requested',
      permissionId: newPermissionId(),
      toolCallId: long,
      title: long,
      kind: long,
      input: { command: long },
      content: Array.from(
        { length: 1_000 },
        () => ({ type: 'diff', path: text, oldText: text, newText: text }) as const,
      ),
      options: Array.from({ length: 20 }, () => ({
        optionId: '\u0001'.repeat(500),
        name: long,
        kind: 'allow_once' as const,
      })),
      expiresAt: 1,
    },
  ]);
  expect(events).toMatchObject([{ type: 'permission.requested', options: { length: 20 } }]);
});

test('one too long id of a tool call is the same id in all its events', () => {
  const toolCallId = 'call'.repeat(1_000);
  const events = updated(
    { sessionUpdate: 'tool_call', toolCallId },
    { sessionUpdate: 'tool_call_update', toolCallId, title: 'x'.repeat(megabyte) },
    { sessionUpdate: 'tool_call_update', toolCallId, status: 'completed' },
  );
  const ids = new Set(events.map((event) => ('toolCallId' in event ? event.toolCallId : undefined)));
  expect([events.length, ids.size]).toEqual([3, 1]);
});

const oddTexts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc
    .tuple(fc.constantFrom('x', '\u0000', '漢', '\ud800', '🛠"\\'), fc.integer({ min: 1, max: 700_000 }))
    .map(([unit, n]) => unit.repeat(n)),
);
const oddJson = fc.oneof(fc.jsonValue(), oddTexts, fc.array(oddTexts, { maxLength: 4 }));
const manyOf = <T>(item: fc.Arbitrary<T>) =>
  fc.oneof(
    fc.array(item, { maxLength: 4 }),
    fc.tuple(item, fc.constantFrom(600, 3_000)).map(([one, n]) => Array.from({ length: n }, () => one)),
  );
const shortTexts = fc.string({ unit: 'binary', maxLength: 3_000 });
const oddBlocks = fc.oneof(
  fc.record({ type: fc.constant('content'), content: fc.record({ type: fc.constant('text'), text: oddTexts }) }),
  fc.record({ type: fc.constant('diff'), path: oddTexts, oldText: oddTexts, newText: oddTexts }),
  fc.record({ type: fc.constant('image'), data: oddJson }),
);
const oddUpdates = fc.oneof(
  fc.record({
    sessionUpdate: fc.constant('agent_message_chunk'),
    messageId: fc.constantFrom('1', '2'),
    content: fc.oneof(
      fc.record({ type: fc.constant('text'), text: oddTexts }),
      fc.record({ type: fc.constant('image'), data: oddJson }),
    ),
  }),
  fc.record({
    sessionUpdate: fc.constant('agent_thought_chunk'),
    content: fc.record({ type: fc.constant('text'), text: oddTexts }),
  }),
  fc.record(
    {
      sessionUpdate: fc.constantFrom('tool_call', 'tool_call_update'),
      toolCallId: fc.oneof(fc.constantFrom('a', 'b'), oddTexts),
      title: oddTexts,
      kind: oddTexts,
      status: fc.constantFrom('pending', 'completed', 'failed'),
      rawInput: oddJson,
      rawOutput: oddJson,
      content: fc.oneof(
        fc.array(oddBlocks, { maxLength: 4 }),
        manyOf(fc.record({ type: fc.constant('diff'), path: shortTexts, newText: shortTexts })),
      ),
      locations: manyOf(fc.record({ path: shortTexts })),
      _meta: fc.record(
        { terminal_output_delta: fc.record({ data: oddTexts }), caisson_whole_output: fc.record({ data: oddTexts }) },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['sessionUpdate', 'toolCallId'] },
  ),
  fc.record({
    sessionUpdate: fc.constant('plan'),
    entries: manyOf(fc.record({ content: shortTexts, priority: shortTexts, status: shortTexts })),
  }),
  fc.record({ sessionUpdate: oddTexts, anything: oddJson }),
);

test('whatever a harness says, the journal stays within the contract', () => {
  fc.assert(
    fc.property(fc.array(oddUpdates, { minLength: 1, maxLength: 3 }), (updates) => void updated(...updates)),
    { numRuns: 60 },
  );
});

test('what is no event is shortened too', () => {
  const long = '\u0001'.repeat(2 * megabyte);
  const bodies = journaled(
    { type: 'harness.started', harness: 'codex', version: long },
    { type: 'harness.exited', exitCode: 1, signal: null, stderr: long },
    {
      type: 'turn.ended',
      conversationId,
      runId: newRunId(),
      outcome: { state: 'failed', reason: 'model_error', message: long },
    },
  );
  expect(bodies.map(({ type }) => type)).toEqual(['harness.started', 'harness.exited', 'turn.ended']);
});
