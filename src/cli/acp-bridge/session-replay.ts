import type { SessionUpdate } from '@agentclientprotocol/sdk';
import type { AgentEvent, CaissonClient, Message } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { SessionUpdates, replay } from './session-updates.ts';

type Client = Pick<CaissonClient, 'agents' | 'events'>;

interface Place {
  readonly agentId: string;
  readonly conversationId: string;
}

/** The most that is read of an agent's log for one replay. What a conversation has before that is told as messages only. */
const windowSize = 1_000;
const mostWindows = 50;
/** The most that is held of a conversation's events, in characters of JSON. */
const mostHeld = 16 * 1024 * 1024;
/** Pages of 200 messages: of a longer conversation the end is told. */
const mostPages = 50;

/**
 * What happened in a conversation, the oldest first: what was said, the tool calls as they ended, and the plans. Where
 * its events are no longer kept, or too many, what was said before them is told from its messages.
 */
export async function conversationReplay(client: Client, place: Place): Promise<SessionUpdate[]> {
  const { events, isWhole } = await lastEvents(client, place);
  if (isWhole) return replayOfEvents(events);
  const told = new Set(events.map((event) => ('messageId' in event ? event.messageId : undefined)));
  const messages = await lastMessages(client, place);
  const first = messages.findIndex(({ id }) => told.has(id));
  return [...replay(first === -1 ? messages : messages.slice(0, first)), ...replayOfEvents(events)];
}

/** A tool call is told once, where it began, as it is at the end. */
function replayOfEvents(events: readonly AgentEvent[]): SessionUpdate[] {
  const updates = new SessionUpdates();
  const told: SessionUpdate[] = [];
  const calls = new Map<string, number>();
  for (const event of events) {
    const next = event.type === 'message.added' ? [updates.added(event)] : updates.of(event);
    for (const update of next) {
      if (update.sessionUpdate === 'tool_call') calls.set(update.toolCallId, told.length);
      if (update.sessionUpdate !== 'tool_call_update') {
        told.push(update);
        continue;
      }
      const index = calls.get(update.toolCallId);
      const call = index === undefined ? undefined : told[index];
      if (index === undefined || call?.sessionUpdate !== 'tool_call') continue; // its beginning is no longer kept
      const { title, status, content, rawOutput } = update;
      told[index] = {
        ...call,
        ...(title == null ? {} : { title }),
        ...(status == null ? {} : { status }),
        ...(content == null ? {} : { content }),
        ...(rawOutput === undefined ? {} : { rawOutput }),
      };
    }
  }
  return told;
}

/** The newest events of the conversation that a replay needs. `isWhole`: its first one is among them. */
async function lastEvents(
  client: Client,
  { agentId, conversationId }: Place,
): Promise<{ readonly events: AgentEvent[]; readonly isWhole: boolean }> {
  let { seq: end } = await client.agents.status.query({ agentId });
  const windows: AgentEvent[][] = [];
  let held = 0;
  for (let count = 0; count < mostWindows && held < mostHeld && end > 0; count += 1) {
    const start = Math.max(0, end - windowSize);
    const events = await readWindow(client, agentId, start, end);
    if (events === null) break;
    const ours = events.filter((event) => event.conversationId === conversationId);
    const needed = ours.filter(({ type }) => replayed.has(type));
    windows.unshift(needed);
    held += needed.reduce((total, event) => total + JSON.stringify(event).length, 0);
    if (ours.some(({ type }) => type === 'conversation.opened')) return { events: windows.flat(), isWhole: true };
    end = start;
  }
  return { events: windows.flat(), isWhole: false };
}

/** What comes with deltas comes whole in `message.completed`; thoughts are not told again. */
const replayed: ReadonlySet<string> = new Set<AgentEvent['type']>([
  'message.added',
  'message.completed',
  'tool.started',
  'tool.updated',
  'tool.completed',
  'plan.updated',
  'run.interrupted',
]);

/** The events after `start` up to `end`; null where they are no longer kept. */
async function readWindow(client: Client, agentId: string, start: number, end: number): Promise<AgentEvent[] | null> {
  const read: AgentEvent[] = [];
  let after = start;
  try {
    while (after < end) {
      const { events } = await client.events.read.query({ agentId, after, limit: end - after });
      const last = events.at(-1);
      if (last === undefined) break;
      read.push(...events);
      after = last.seq;
    }
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'CURSOR_EXPIRED') return null;
    throw thrown;
  }
  return read;
}

async function lastMessages(client: Client, { agentId, conversationId }: Place): Promise<Message[]> {
  const pages: (readonly Message[])[] = [];
  let cursor: string | null = null;
  do {
    const request = { agentId, conversationId, limit: 200, cursor };
    const page: { items: readonly Message[]; nextCursor: string | null } = await client.agents.history.query(request);
    pages.unshift(page.items);
    cursor = page.nextCursor;
  } while (cursor !== null && pages.length < mostPages);
  return pages.flat();
}
