import type { AgentEvent } from './event.ts';

/**
 * Events kept in memory for subscribers that are up to date, in number and in characters. Others read the store. What is too much
 * goes by half of the number at a time: to make room for each anew would copy all of them each time.
 */
const recentLimit = 2_048;
const recentCharacters = 2 * 1024 * 1024;

/**
 * Wakes the subscribers of one agent, and spares those that keep up a look into the store. They are woken at the end of
 * the event loop's turn: what else follows from the events, a prompt on its way to its guest above all, goes first.
 */
export class EventFeed {
  subscribers = 0;
  /** The newest stored events without a gap between them. May be empty although there are newer ones than `#head` − 1. */
  #recent: AgentEvent[] = [];
  #characters = 0;
  /** The last `seq` that was published. */
  #head = 0;
  #waiting: { readonly after: number; readonly wake: () => void; readonly fail: (error: Error) => void }[] = [];
  #closed: Error | undefined;
  #isWaking = false;

  /** Stored events, in order. Batches may arrive out of order: the store is right in any case. */
  publish(events: readonly AgentEvent[]): void {
    const first = events[0];
    const last = events.at(-1);
    if (first === undefined || last === undefined || last.seq <= this.#head) return;
    if (first.seq !== this.#head + 1) this.#forget();
    this.#remember(events);
    this.#head = last.seq;
    if (this.#waiting.length === 0 || this.#isWaking) return;
    this.#isWaking = true;
    setImmediate(() => this.#wake());
  }

  /** Everything after `after` if that is known: nothing after the last that was published. Undefined means: ask the store. */
  recentAfter(after: number): readonly AgentEvent[] | undefined {
    // What is stored already and not published yet wakes whoever waits for it. At the beginning nothing is known.
    if (after === this.#head && this.#head > 0) return [];
    const first = this.#recent[0]?.seq;
    if (first === undefined || after < first - 1 || after >= this.#head) return undefined;
    return this.#recent.slice(after - first + 1);
  }

  /** Resolves when there is an event after `after`, or when `signal` aborts. Rejects when the feed is closed. */
  async beyond(after: number, signal: AbortSignal): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    if (signal.aborted || this.#head > after) return;
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

  #wake(): void {
    this.#isWaking = false;
    const ready = this.#waiting.filter(({ after }) => after < this.#head);
    this.#waiting = this.#waiting.filter(({ after }) => after >= this.#head);
    for (const { wake } of ready) wake();
  }

  close(error: Error): void {
    this.#closed = error;
    for (const { fail } of this.#waiting) fail(error);
  }

  #remember(added: readonly AgentEvent[]): void {
    for (const event of added) {
      this.#recent.push(event);
      this.#characters += charactersOf(event);
    }
    // Too much of it: those that keep up are let go to the store once, and the memory begins anew.
    if (this.#characters > recentCharacters) this.#forget();
    else if (this.#recent.length > recentLimit) this.#recent = this.#recent.slice(-recentLimit / 2);
  }

  #forget(): void {
    this.#recent = [];
    this.#characters = 0;
  }
}

/** Deltas, of which there are many, are measured by their text alone. */
function charactersOf(event: AgentEvent): number {
  return 'delta' in event ? 200 + event.delta.length : JSON.stringify(event).length;
}
