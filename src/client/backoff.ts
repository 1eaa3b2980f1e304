/** Waits between attempts: doubling from 100 ms to 15 s, each shortened by up to half at random so that clients spread. */
export class Backoff {
  #attempt = 0;

  nextDelayMs(): number {
    const full = Math.min(15_000, 100 * 2 ** this.#attempt);
    this.#attempt += 1;
    return full * (1 - Math.random() / 2);
  }

  /** After a success: the next failure starts again from the shortest wait. */
  reset(): void {
    this.#attempt = 0;
  }
}

/** Resolves after `ms`, or as soon as the signal aborts. Never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
