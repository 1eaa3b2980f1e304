import { expect, test } from 'vitest';
import type { EventData } from '../../../src/agents/event.ts';
import { conversationReplay } from '../../../src/cli/acp-bridge/session-replay.ts';
import type { AgentEvent, AgentSnapshot, CaissonClient, Message } from '../../../src/client/index.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { newAgentId, newConversationId, newMessageId } from '../../../src/kernel/ids.ts';

const agentId = newAgentId();
const [ours, other] = [newConversationId(), newConversationId()];
const opened: EventData = { type: 'conversation.opened', title: '', model: null, mode: null };
const text = (said: string) => [{ type: 'text' as const, text: said }];
const said = (content: string): EventData => ({
  type: 'message.completed',
  messageId: newMessageId(),
  content: text(content),
});
const asked = (content: string): EventData => ({
  type: 'message.added',
  messageId: newMessageId(),
  role: 'user',
  senderId: null,
  content: text(content),
});
const tool = (toolCallId: string): EventData[] => [
  { type: 'tool.started', toolCallId, title: toolCallId, kind: 'execute', locations: [], content: [] },
  { type: 'tool.updated', toolCallId, output: 'out', title: `${toolCallId} it` },
  { type: 'tool.completed', toolCallId, status: 'completed', exitCode: 0, content: [] },
];

/** An agent's log, kept from the event `first` on, read in pages of at most 300; its messages are kept for ever. */
function agentWith(log: readonly (readonly [typeof ours, EventData])[], first = 1) {
  const events = log.map(([conversationId, data], i): AgentEvent => ({
    seq: i + 1,
    agentId,
    conversationId,
    runId: null,
    at: i,
    ...data,
  }));
  const messages = events.flatMap((event): Message[] => {
    if (event.conversationId !== ours || (event.type !== 'message.added' && event.type !== 'message.completed'))
      return [];
    const role = event.type === 'message.added' ? 'user' : 'agent';
    const { messageId: id, content } = event;
    return [{ id, agentId, conversationId: ours, runId: null, role, senderId: null, content, createdAt: 0 }];
  });
  const reads: number[] = [];
  const client = {
    agents: {
      status: { query: async () => ({ seq: events.length }) as AgentSnapshot },
      history: { query: async () => ({ items: messages, nextCursor: null }) },
    },
    events: {
      read: {
        query: async ({ after = 0, limit = 500 }: { after?: number; limit?: number }) => {
          reads.push(after);
          if (after < first - 1) throw new CaissonError('CURSOR_EXPIRED', 'They are no longer kept.');
          return { events: events.slice(after, after + Math.min(limit, 300)) };
        },
      },
    },
  };
  return { reads, client: client as unknown as Pick<CaissonClient, 'agents' | 'events'> };
}

const told = async (client: Pick<CaissonClient, 'agents' | 'events'>): Promise<string[]> =>
  (await conversationReplay(client, { agentId, conversationId: ours })).map((update) => {
    if (update.sessionUpdate === 'tool_call') return `${update.title}: ${update.status}`;
    return 'content' in update && update.content && 'text' in update.content ? update.content.text : '';
  });

test('of a busy agent only the part of the log is read in which the conversation is', async () => {
  const busy = Array.from({ length: 5_000 }, () => [other, said('elsewhere')] as const);
  const turn = [opened, asked('hi'), ...tool('make'), said('done')].map((data) => [ours, data] as const);
  const { client, reads } = agentWith([...busy, ...turn, ...busy.slice(0, 1_500)]);
  expect(await told(client)).toEqual(['hi', 'make it: completed', 'done']);
  expect(Math.min(...reads)).toBeGreaterThan(4_000);
});

test('what is older than the events that are kept is told from the messages, once and in order', async () => {
  const first = [opened, asked('one'), ...tool('old'), said('first')];
  const second = [asked('two'), ...tool('new'), said('second')];
  const filler = Array.from({ length: 1_500 }, () => [other, said('elsewhere')] as const);
  const log = [
    ...first.map((data) => [ours, data] as const),
    ...filler,
    ...second.map((data) => [ours, data] as const),
  ];
  expect(await told(agentWith(log).client)).toEqual([
    'one',
    'old it: completed',
    'first',
    'two',
    'new it: completed',
    'second',
  ]);
  expect(await told(agentWith(log, 400).client)).toEqual(['one', 'first', 'two', 'new it: completed', 'second']);
  expect(await told(agentWith(log, log.length + 1).client)).toEqual(['one', 'first', 'two', 'second']);
});

test('a call that was open when its sandbox went away is not told as under way', async () => {
  const open = tool('sleep').slice(0, 2);
  const lost: EventData = { type: 'run.interrupted', reason: 'sandbox_lost', message: null };
  const { client } = agentWith([opened, asked('one'), ...open, lost].map((data) => [ours, data] as const));
  expect(await told(client)).toEqual(['one', 'sleep it: failed']);
});
