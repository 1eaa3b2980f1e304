import type { CaissonError } from '../kernel/errors.ts';
import type { AgentEvent, Message, Run } from './api.ts';
import type { Calls } from './calls.ts';
import { insist } from './insist.ts';
import { RunCanceller } from './run-canceller.ts';
import type { SubscribeOptions } from './subscription.ts';

interface Following {
  /**
   * Told, in order, the events of the run, of its conversation and of the agent as a whole (its sandbox, its state). The
   * next event waits for what it returns.
   */
  readonly onEvent?: (event: AgentEvent) => void | Promise<void>;
  /** Cancels the run. The promise then still resolves with how the run ended. */
  readonly signal?: AbortSignal;
  /** Told why the connection broke, each time before it is tried again. */
  readonly onReconnect?: (error: CaissonError) => void;
}

export interface FollowOptions extends Following {
  readonly runId: string;
  /** The `seq` to go on after, from `agents.status`. The run must not have ended before it. */
  readonly after: number;
}

export interface SendOptions extends Following {
  readonly agentId: string;
  readonly conversationId: string;
  readonly text: string;
  /** Sending again with the same key and text follows the run that was started the first time. */
  readonly idempotencyKey?: string;
  /** From the start of the turn to its forced end, in milliseconds. Default: the control plane's. */
  readonly timeoutMs?: number;
  /** Told as soon as the control plane has stored the message. */
  readonly onAccepted?: (runId: string) => void;
}

/** A run that is over, and what the agent said in it. */
export interface Turn {
  readonly run: Run;
  /** The text of the agent's messages, with an empty line between them. */
  readonly reply: string;
}

/** What following a turn needs of a client. */
export interface TurnClient extends Pick<Calls, 'agents' | 'runs'> {
  readonly events: Pick<Calls['events'], 'read'>;
  subscribe(options: SubscribeOptions): AsyncIterable<AgentEvent>;
}

/** Starts a run and follows it to its end, over broken connections. Rejects only when it cannot be started or followed. */
export async function send(client: TurnClient, options: SendOptions): Promise<Turn> {
  const { agentId, conversationId, text, idempotencyKey, timeoutMs, onAccepted, ...following } = options;
  const { seq } = await client.agents.status.query({ agentId });
  const { runId } = await client.runs.start.mutate({
    conversationId,
    message: text,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  onAccepted?.(runId);
  return await follow(client, { ...following, runId, after: seq });
}

/** Follows a run to its end, also one that somebody else started. Rejects only when it cannot be followed. */
export async function follow(client: TurnClient, options: FollowOptions): Promise<Turn> {
  const { runId, after, onEvent, signal, onReconnect } = options;
  const begun = await insist(() => client.runs.get.query({ runId }));
  const { agentId } = begun;
  const canceller = new RunCanceller(client, runId, signal);
  // A run that is over may have ended before `after`, as when an idempotency key is used again: then no end is to come.
  const isOver = begun.endedAt !== null;
  const subscription = {
    agentId,
    after,
    signal: canceller.failed,
    ...(onReconnect === undefined ? {} : { onReconnect }),
  };
  const events = isOver ? storedEvents(client, agentId, after) : client.subscribe(subscription);
  try {
    for await (const event of events) {
      if (!concerns(event, begun)) continue;
      await onEvent?.(event);
      if (event.runId === runId && endTypes.has(event.type)) break;
    }
  } finally {
    canceller.close();
  }
  canceller.failed.throwIfAborted();
  const run = await insist(() => client.runs.get.query({ runId }));
  return { run, reply: await insist(() => replyOf(client, run)) };
}

/** What is stored now, page by page. */
async function* storedEvents(client: TurnClient, agentId: string, after: number): AsyncGenerator<AgentEvent> {
  for (let last = after; ;) {
    const after = last;
    const { events } = await insist(() => client.events.read.query({ agentId, after }));
    yield* events;
    const newest = events.at(-1);
    if (newest === undefined) return;
    last = newest.seq;
  }
}

/** An agent's own events (its sandbox, its state) have no run and no conversation. */
function concerns(event: AgentEvent, run: Run): boolean {
  if (event.runId !== null) return event.runId === run.id;
  return event.conversationId === null || event.conversationId === run.conversationId;
}

type EndState = Exclude<Run['state'], 'queued' | 'starting' | 'running' | 'awaiting_permission'>;

/** Every state that a run can end in: one that is missing here does not compile. */
const ends = {
  completed: true,
  failed: true,
  canceled: true,
  timed_out: true,
  interrupted: true,
  rejected: true,
} as const satisfies Record<EndState, true>;

const endTypes: ReadonlySet<string> = new Set(Object.keys(ends).map((state) => `run.${state}`));

/** The newest messages that are looked through, in pages of 200: what a run said before them is not in its reply. */
const replyPages = 5;

async function replyOf(client: TurnClient, run: Run): Promise<string> {
  const { agentId, conversationId } = run;
  const texts: string[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < replyPages; page++) {
    const request = { agentId, conversationId, limit: 200, cursor };
    const { items, nextCursor }: { items: readonly Message[]; nextCursor: string | null } =
      await client.agents.history.query(request);
    texts.unshift(...items.filter(({ runId, role }) => runId === run.id && role === 'agent').map(messageText));
    cursor = nextCursor;
    if (cursor === null || items.some(({ id }) => id === run.messageId)) break;
  }
  return texts.filter((text) => text !== '').join('\n\n');
}

/** The text of a message, without what is not text. */
export function messageText({ content }: Pick<Message, 'content'>): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}
