import type { AgentEvent, Run } from './api.ts';
import type { Calls } from './calls.ts';
import type { SubscribeOptions } from './subscription.ts';

export interface SendOptions {
  readonly agentId: string;
  readonly conversationId: string;
  readonly text: string;
  /** Sending again with the same key and text follows the run that was started the first time. */
  readonly idempotencyKey?: string;
  /** From the start of the turn to its forced end, in milliseconds. Default: the control plane's. */
  readonly timeoutMs?: number;
  /** Told, in order, the events of this run and those of the agent as a whole; the next one waits for what it returns. */
  readonly onEvent?: (event: AgentEvent) => void | Promise<void>;
  /** Cancels the run. `send` then still resolves with how the run ended. */
  readonly signal?: AbortSignal;
}

/** A run that is over, and what the agent said in it. */
export interface Turn {
  readonly run: Run;
  /** The text of the agent's messages, with an empty line between them. */
  readonly reply: string;
}

/** What following a turn needs of a client. */
export interface TurnClient extends Pick<Calls, 'agents' | 'runs'> {
  subscribe(options: SubscribeOptions): AsyncIterable<AgentEvent>;
}

/** Starts a run and follows it to its end, over broken connections. Rejects only when the run cannot be started or followed. */
export async function send(client: TurnClient, options: SendOptions): Promise<Turn> {
  const { agentId, conversationId, text, idempotencyKey, timeoutMs, onEvent, signal } = options;
  const { seq } = await client.agents.status.query({ agentId });
  const { runId } = await client.runs.start.mutate({
    conversationId,
    message: text,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  // The run of a repeated key may have ended before `seq`: then no event of it is to come.
  const isOver = idempotencyKey !== undefined && (await client.runs.get.query({ runId })).endedAt !== null;
  if (!isOver) {
    using following = new Following(client, runId, signal);
    for await (const event of client.subscribe({ agentId, after: seq, signal: following.signal })) {
      if (!concerns(event, runId, conversationId)) continue;
      await onEvent?.(event);
      if (event.runId === runId && endsRun(event)) break;
    }
    following.throwIfFailed();
  }
  const run = await client.runs.get.query({ runId });
  return { run, reply: await replyOf(client, run) };
}

/** Cancels the run once when the caller's signal aborts. The following ends early only if that fails. */
class Following implements Disposable {
  readonly #stop = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #cancel: () => void;

  constructor(client: TurnClient, runId: Run['id'], caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#cancel = () => {
      client.runs.cancel.mutate({ runId }).catch((error: unknown) => {
        if (!isRunEnded(error)) this.#stop.abort(error);
      });
    };
    if (caller?.aborted === true) this.#cancel();
    else caller?.addEventListener('abort', this.#cancel, { once: true });
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  throwIfFailed(): void {
    this.#stop.signal.throwIfAborted();
  }

  [Symbol.dispose](): void {
    this.#caller?.removeEventListener('abort', this.#cancel);
  }
}

function isRunEnded(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'RUN_ENDED';
}

/** An agent's own events (its sandbox, its state) have no run and no conversation. */
function concerns(event: AgentEvent, runId: string, conversationId: string): boolean {
  if (event.runId !== null) return event.runId === runId;
  return event.conversationId === null || event.conversationId === conversationId;
}

const endTypes: ReadonlySet<string> = new Set<AgentEvent['type']>([
  'run.completed',
  'run.failed',
  'run.canceled',
  'run.timed_out',
  'run.interrupted',
  'run.rejected',
]);

/** Whether the event is the last one of its run. */
export function endsRun(event: AgentEvent): boolean {
  return endTypes.has(event.type);
}

/** Messages are looked for in this many pages, newest first: a run that said more than 1,000 messages is cut off. */
const replyPages = 5;

async function replyOf(client: TurnClient, run: Run): Promise<string> {
  const texts: string[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < replyPages; page++) {
    const { agentId, conversationId } = run;
    const { items, nextCursor }: Awaited<ReturnType<typeof client.agents.history.query>> =
      await client.agents.history.query({ agentId, conversationId, limit: 200, cursor });
    const own = items.filter((message) => message.runId === run.id && message.role === 'agent');
    texts.unshift(...own.map(({ content }) => content.map((block) => (block.type === 'text' ? block.text : '')).join('')));
    cursor = nextCursor;
    if (cursor === null || items.some(({ id }) => id === run.messageId)) break;
  }
  return texts.filter((text) => text !== '').join('\n\n');
}
