import { orAbort } from './deadline.ts';

/**
 * Runs tasks of one key one at a time, in the order in which they were added; tasks of different keys run side by
 * side. A caller that gives up while it waits leaves at once and its task never starts; a task that has started is its
 * own master. Nothing is held for a key without tasks.
 */
export class KeyedQueue<Key> {
  readonly #tails = new Map<Key, Promise<void>>();

  async run<T>(key: Key, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const tail = before.then(() => ended);
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    try {
      await (signal ? orAbort(before, signal) : before);
      return await task();
    } finally {
      end();
    }
  }
}
