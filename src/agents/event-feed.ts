import type { AgentEvent } from './event.ts';

/** Events kept in memory for subscribers that are up to date. Others read the store. */
const recentLimit = 2_048;

/** Wakes the subscribers of one agent, and spares those that keep up a look into the store. */
export class EventFeed {
  subscribers = 0;
  /** The newest stored events without a gap between them; at most `recentLimit`. */
  #recent: AgentEvent[] = [];
  #waiting: { readonly after: number; readonly wake: () => void; readonly fail: (error: Error) => void }[] = [];
  #closed: Error | undefined;

  /** Stored events, in order. Batches may arrive out of order: the store is right in any case. */
  publish(events: readonly AgentEvent[]): void {
    const first = events[0];
    const last = events.at(-1);
    const head = this.#recent.at(-1)?.seq;
    if (first === undefined || last === undefined || (head !== undefined && last.seq <= head)) return;
    this.#recent =
      first.seq === (head ?? -1) + 1 ? [...this.#recent, ...events].slice(-recentLimit) : events.slice(-recentLimit);
    const ready = this.#waiting.filter(({ after }) => after < last.seq);
    this.#waiting = this.#waiting.filter(({ after }) => after >= last.seq);
    for (const { wake } of ready) wake();
  }

  /** Everything after `after` if that is in memory; undefined means: ask the store. */
  recentAfter(after: number): readonly AgentEvent[] | undefined {
    const first = this.#recent[0]?.seq;
    const last = this.#recent.at(-1)?.seq;
    if (first === undefined || last === undefined || after < first - 1 || after >= last) return undefined;
    return this.#recent.slice(after - first + 1);
  }

  /** Resolves when there is an event after `after`, or when `signal` aborts. Rejects when the feed is closed. */
  async beyond(after: number, signal: AbortSignal): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    if (signal.aborted || (this.#recent.at(-1)?.seq ?? 0) > after) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { after, wake: resolve, fail: reject };
    this.#waiting.push(waiter);
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
    }
  }

  close(error: Error): void {
    this.#closed = error;
    for (const { fail } of this.#waiting) fail(error);
  }
}
