/**
 * Runs tasks one at a time, in the order in which they were added. A task that fails rejects its own promise and does
 * not stop those behind it. The queue holds at most what its callers await: it has no bound of its own.
 */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => undefined); // the caller of run() has the error
    return result;
  }
}
