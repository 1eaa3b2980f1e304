import { CaissonError } from '../kernel/errors.ts';
import type { AgentId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import type { AgentEvent, EventDraft } from './event.ts';
import { EventFeed } from './event-feed.ts';
import type { AgentStore, AgentTransaction, EventRetention } from './ports.ts';

/** Events a subscriber reads from the store at a time. */
const pageSize = 500;
/** How often, in events of one agent, the log looks for what it may forget; and how much of the bytes kept may come on top. */
const pruneEvery = 1_024;
const bytesOnTop = 1 / 16;

export type Record = (draft: EventDraft) => void;

/**
 * The log of every agent. `write` is the only way in: state and events are stored in one transaction, then published.
 * A subscriber gets everything after its cursor, in order, with no gap and no repeat, at its own pace: it reads the store
 * when it is behind, so a slow one costs a page of memory and delays nobody.
 */
export class EventLog {
  readonly #store: AgentStore;
  readonly #retention: EventRetention;
  readonly #logger: Logger;
  readonly #feeds = new Map<AgentId, EventFeed>();
  /** Of the agents whose old events are being forgotten. */
  readonly #pruning = new Map<AgentId, Promise<void>>();
  /** Those of them that have far more than is kept. */
  readonly #crowded = new Set<AgentId>();
  readonly #listeners = new Set<(event: AgentEvent) => void>();

  /** `retention`: what is kept of an agent; older events are forgotten. */
  constructor({ store, retention, logger }: { store: AgentStore; retention: EventRetention; logger: Logger }) {
    this.#store = store;
    this.#retention = retention;
    this.#logger = logger;
  }

  /** Runs `work` in a transaction, appends what it recorded, commits, and publishes. */
  async write<T>(agentId: AgentId, work: (tx: AgentTransaction, record: Record) => Promise<T>): Promise<T> {
    const { result, events, storedBytes } = await this.#store.transaction(async (tx) => {
      const drafts: EventDraft[] = [];
      const result = await work(tx, (draft) => drafts.push(draft));
      return { result, ...(await tx.appendEvents(agentId, drafts)) };
    });
    const last = events.at(-1);
    if (last !== undefined) {
      this.#feeds.get(agentId)?.publish(events);
      for (const listener of this.#listeners) for (const event of events) listener(event);
      const isTooMany = last.seq > this.#retention.events && last.seq % pruneEvery < events.length;
      const isTooLarge = storedBytes > this.#retention.bytes * (1 + bytesOnTop);
      if (isTooMany || isTooLarge) this.#prune(agentId);
      if (storedBytes > this.#retention.bytes * 2) this.#crowded.add(agentId);
    }
    return result;
  }

  /** Resolves when an agent has no more than twice the bytes that are kept, or they could not be forgotten: its guest waits for that. */
  async room(agentId: AgentId): Promise<void> {
    if (this.#crowded.has(agentId)) await this.#pruning.get(agentId);
  }

  /** What was written stands, whatever becomes of this: events that are kept too long are forgotten the next time. */
  #prune(agentId: AgentId): void {
    if (this.#pruning.has(agentId)) return;
    const pruned = this.#store
      .pruneEvents(agentId, this.#retention)
      .catch((thrown: unknown) => this.#logger.warn({ agentId, err: thrown }, 'old events could not be forgotten'))
      .finally(() => {
        this.#pruning.delete(agentId);
        this.#crowded.delete(agentId);
      });
    this.#pruning.set(agentId, pruned);
  }

  /** Calls `listener` for every event of every agent once it is stored. It must not throw. */
  onStored(listener: (event: AgentEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Errors: CURSOR_AHEAD, CURSOR_EXPIRED with `{ first, last }`, AGENT_NOT_FOUND. */
  async read(range: { agentId: AgentId; after: number; limit: number }): Promise<readonly AgentEvent[]> {
    const events = await this.#store.readEvents(range.agentId, range.after, range.limit);
    if (events[0]?.seq !== range.after + 1) await this.#checkCursor(range.agentId, range.after);
    return events;
  }

  /** Endless; ends when `signal` aborts. Rejects as `read` does: with AGENT_NOT_FOUND when the agent is deleted. */
  async *subscribe(from: {
    agentId: AgentId;
    after: number;
    signal: AbortSignal;
  }): AsyncGenerator<readonly AgentEvent[], void> {
    const { agentId, signal } = from;
    let { after } = from;
    const feed = this.#openFeed(agentId);
    try {
      while (!signal.aborted) {
        const events = feed.recentAfter(after) ?? (await this.read({ agentId, after, limit: pageSize }));
        const last = events.at(-1);
        if (last === undefined) {
          await feed.beyond(after, signal);
        } else {
          yield events;
          after = last.seq;
        }
      }
    } finally {
      feed.subscribers--;
      if (feed.subscribers === 0 && this.#feeds.get(agentId) === feed) this.#feeds.delete(agentId);
    }
  }

  /** The agent is gone: its subscribers end with AGENT_NOT_FOUND. */
  close(agentId: AgentId): void {
    this.#feeds.get(agentId)?.close(new CaissonError('AGENT_NOT_FOUND', `Agent ${agentId} was deleted.`));
    this.#feeds.delete(agentId);
  }

  #openFeed(agentId: AgentId): EventFeed {
    const feed = this.#feeds.get(agentId) ?? new EventFeed();
    this.#feeds.set(agentId, feed);
    feed.subscribers++;
    return feed;
  }

  async #checkCursor(agentId: AgentId, after: number): Promise<void> {
    const { first, last } = await this.#store.eventBounds(agentId);
    // An agent has events from its creation on. This one may have been deleted a moment ago.
    if (last === 0) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${agentId}.`);
    const details = { after, first, last };
    if (after > last)
      throw new CaissonError('CURSOR_AHEAD', `There is no event ${after} yet; the last is ${last}.`, { details });
    if (after < first - 1) {
      throw new CaissonError('CURSOR_EXPIRED', `Events up to ${first - 1} are no longer kept.`, {
        hint: 'Read `agents.status` for the present state, and subscribe after its `seq`.',
        details,
      });
    }
  }
}
