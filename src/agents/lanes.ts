/**
 * Lanes run one task at a time each, in the order of submission; over all lanes at most `limit` tasks run at once, and
 * lanes that wait for a place get it in the order in which they began to wait. A task that fails frees its lane like any
 * other. A lane without tasks costs nothing. What the lanes hold is bounded by those who submit.
 */
export class Lanes<Key> {
  readonly #limit: number;
  readonly #queues = new Map<Key, (() => Promise<void>)[]>();
  /** Lanes whose head waits for a place. */
  readonly #ready: Key[] = [];
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The task must handle its own errors. */
  submit(key: Key, task: () => Promise<void>): void {
    const queue = this.#queues.get(key);
    if (queue !== undefined) {
      queue.push(task);
      return;
    }
    this.#queues.set(key, [task]);
    this.#ready.push(key);
    this.#pump();
  }

  #pump(): void {
    while (this.#running < this.#limit) {
      const key = this.#ready.shift();
      if (key === undefined) return;
      this.#running++;
      void this.#runHead(key);
    }
  }

  async #runHead(key: Key): Promise<void> {
    const queue = this.#queues.get(key);
    try {
      await queue?.[0]?.();
    } catch {
      // A task handles its own errors, as submit() says; a lane has to go on in any case.
    } finally {
      this.#running--;
      queue?.shift();
      if (queue === undefined || queue.length === 0) this.#queues.delete(key);
      else this.#ready.push(key);
      this.#pump();
    }
  }
}
