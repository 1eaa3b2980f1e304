import type { SessionUpdate } from '@agentclientprotocol/sdk';
import { describe, expect, test } from 'vitest';
import type { EventData } from '../../../src/agents/event.ts';
import { OutputTail } from '../../../src/cli/acp-bridge/output-tail.ts';
import { promptText } from '../../../src/cli/acp-bridge/prompt-text.ts';
import { SessionUpdates } from '../../../src/cli/acp-bridge/session-updates.ts';
import { newAgentId, newMessageId, newPermissionId } from '../../../src/kernel/ids.ts';

const agentId = newAgentId();
const [one, two] = [newMessageId(), newMessageId()];

function updatesOf(...events: EventData[]): SessionUpdate[] {
  const updates = new SessionUpdates();
  return events.flatMap((data, i) =>
    updates.of({ seq: i + 1, agentId, conversationId: null, runId: null, at: 0, ...data }),
  );
}

const said = (text: string, messageId?: string): object => ({
  sessionUpdate: 'agent_message_chunk',
  content: { type: 'text', text },
  ...(messageId === undefined ? {} : { messageId }),
});

describe('events as session updates', () => {
  test('a message: its deltas, then what they did not bring, each message a paragraph', () => {
    expect(
      updatesOf(
        { type: 'message.delta', messageId: one, delta: 'Hel', offset: 0 },
        { type: 'message.completed', messageId: one, content: [{ type: 'text', text: 'Hello' }] },
        { type: 'message.completed', messageId: two, content: [{ type: 'text', text: 'Bye' }] },
      ),
    ).toEqual([said('Hel', one), said('lo', one), said('\n\nBye', two)]);
  });

  test('a discarded message is followed by a word about it, if any of it was sent', () => {
    const discarded: EventData = { type: 'message.discarded', messageId: one, reason: 'model_retry' };
    expect(updatesOf({ type: 'message.delta', messageId: one, delta: 'Hel', offset: 0 }, discarded)).toEqual([
      said('Hel', one),
      said('\n\n*[Caisson: the text above was thrown away. The model broke off and is asked again.]*\n\n'),
    ]);
    expect(updatesOf(discarded)).toEqual([]);
  });

  test('a thought', () => {
    expect(updatesOf({ type: 'thought.delta', messageId: one, delta: 'Hm', offset: 0 })).toEqual([
      { sessionUpdate: 'agent_thought_chunk', content: { type: 'text', text: 'Hm' }, messageId: one },
    ]);
  });

  test('a command: its call, its output so far with every update, its end', () => {
    const terminal = { type: 'other', block: { type: 'terminal', terminalId: 't' } } as const;
    const output = (text: string): object[] => [{ type: 'content', content: { type: 'text', text } }];
    expect(
      updatesOf(
        {
          type: 'tool.started',
          toolCallId: 'c',
          title: 'make',
          kind: 'execute',
          input: { command: 'make' },
          locations: ['/workspace/Makefile'],
          content: [terminal],
        },
        { type: 'tool.updated', toolCallId: 'c', output: 'one\n' },
        { type: 'tool.updated', toolCallId: 'c', output: 'two\n' },
        { type: 'tool.completed', toolCallId: 'c', status: 'failed', exitCode: 2, content: [] },
      ),
    ).toEqual([
      {
        sessionUpdate: 'tool_call',
        toolCallId: 'c',
        title: 'make',
        kind: 'execute',
        status: 'in_progress',
        content: [],
        locations: [{ path: '/workspace/Makefile' }],
        rawInput: { command: 'make' },
      },
      { sessionUpdate: 'tool_call_update', toolCallId: 'c', content: output('one\n') },
      { sessionUpdate: 'tool_call_update', toolCallId: 'c', content: output('one\ntwo\n') },
      {
        sessionUpdate: 'tool_call_update',
        toolCallId: 'c',
        status: 'failed',
        content: output('one\ntwo\n'),
        rawOutput: { exitCode: 2 },
      },
    ]);
  });

  test('a command whose output begins anew: the editor is left with that', () => {
    const output = (text: string): object[] => [{ type: 'content', content: { type: 'text', text } }];
    expect(
      updatesOf(
        { type: 'tool.started', toolCallId: 'c', title: 'make', kind: 'execute', locations: [], content: [] },
        { type: 'tool.updated', toolCallId: 'c', output: 'two\n' },
        { type: 'tool.updated', toolCallId: 'c', output: 'one\n', replacesOutput: true },
        { type: 'tool.completed', toolCallId: 'c', status: 'completed', exitCode: 0, output: 'two\n', content: [] },
      ),
    ).toMatchObject([
      { sessionUpdate: 'tool_call' },
      { content: output('two\n') },
      { content: output('one\n') },
      { content: output('one\ntwo\n') },
    ]);
  });

  test('an edit keeps its diff to the end; an unknown kind and a canceled call are told in words that ACP has', () => {
    const diff = { type: 'diff', path: '/workspace/a', oldText: null, newText: 'x' } as const;
    const updates = updatesOf(
      { type: 'tool.started', toolCallId: 'e', title: 'Edit', kind: 'sculpt', locations: [], content: [diff] },
      { type: 'tool.completed', toolCallId: 'e', status: 'canceled', exitCode: null, content: [] },
    );
    expect(updates).toMatchObject([
      { kind: 'other', content: [diff] },
      { status: 'failed', content: [diff] },
    ]);
  });

  test('a run whose sandbox went away closes the call and the message that it had open, and nothing that was over', () => {
    const call = { kind: 'execute', locations: [], content: [] };
    const [over, open] = [newMessageId(), one];
    const updates = updatesOf(
      { type: 'message.completed', messageId: over, content: [{ type: 'text', text: 'Well' }] },
      { type: 'tool.started', toolCallId: 'over', title: 'make', ...call },
      { type: 'tool.completed', toolCallId: 'over', status: 'completed', exitCode: 0, content: [] },
      { type: 'tool.started', toolCallId: 'open', title: 'sleep', ...call },
      { type: 'tool.updated', toolCallId: 'open', output: 'so far' },
      { type: 'message.delta', messageId: open, delta: 'Hel', offset: 0 },
      { type: 'run.interrupted', reason: 'sandbox_lost', message: null },
    );
    expect(updates.slice(-3)).toEqual([
      said('Hel', open),
      {
        sessionUpdate: 'tool_call_update',
        toolCallId: 'open',
        status: 'failed',
        content: [{ type: 'content', content: { type: 'text', text: 'so far' } }],
      },
      said('\n\n*[Caisson: the text above was never finished.]*\n\n'),
    ]);
  });

  test('a plan and the context that is used', () => {
    expect(
      updatesOf(
        { type: 'plan.updated', entries: [{ content: 'a', priority: 'urgent', status: 'in_progress' }] },
        { type: 'usage.updated', used: 10, size: 100 },
      ),
    ).toEqual([
      { sessionUpdate: 'plan', entries: [{ content: 'a', priority: 'medium', status: 'in_progress' }] },
      { sessionUpdate: 'usage_update', used: 10, size: 100 },
    ]);
  });

  test('what ACP has no word for gives nothing', () => {
    expect(
      updatesOf(
        { type: 'agent.status', status: 'thinking' },
        { type: 'run.started' },
        { type: 'harness.other', sessionUpdate: 'x', update: {} },
        {
          type: 'permission.resolved',
          permissionId: newPermissionId(),
          outcome: 'expired',
          optionId: null,
          resolvedBy: null,
        },
      ),
    ).toEqual([]);
  });
});

describe('OutputTail', () => {
  test('keeps the end of a long output and says how much is missing', () => {
    const tail = new OutputTail();
    for (let i = 0; i < 100; i++) tail.add('x'.repeat(1_000));
    tail.add('end');
    const text = tail.take();
    expect(text).toMatch(/^\[83619 characters before this are not shown\]\nx+end$/);
  });

  test('is due for a bounded multiple of what comes in', () => {
    const tail = new OutputTail();
    let sent = 0;
    for (let i = 0; i < 100_000; i++) if (tail.add('0123456789')) sent += tail.take().length;
    expect(sent).toBeLessThan(1_000_000 * 10);
  });
});

describe('a prompt', () => {
  test('is its text, with links named and embedded files told whole', () => {
    expect(
      promptText([
        { type: 'text', text: 'Look at ' },
        { type: 'resource_link', name: 'a.ts', uri: 'file:///home/me/a.ts' },
        { type: 'resource', resource: { uri: 'file:///b".ts', text: 'const b = 1;' } },
      ]),
    ).toBe('Look at [a.ts](file:///home/me/a.ts)\n\n<resource uri="file:///b%22.ts">\nconst b = 1;\n</resource>\n\n');
  });

  test('an image is refused, as the capabilities say', () => {
    expect(() => promptText([{ type: 'image', data: '', mimeType: 'image/png' }])).toThrow(
      expect.objectContaining({ code: -32_602 }),
    );
  });
});
