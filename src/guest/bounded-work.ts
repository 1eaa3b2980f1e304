import { setImmediate as nextTurn } from 'node:timers/promises';
import { CaissonError } from '../kernel/errors.ts';

interface WorkBounds {
  /** Several of its kind, as a caller is told of them. */
  readonly name: string;
  readonly running: number;
  /** How many more may wait for one of these to end. Default: none. */
  readonly waiting?: number;
}

/**
 * One kind of work that callers ask for: few are under way at a time, the others wait in the order of asking. A caller who
 * leaves the queue is forgotten at once. Nothing begins before the event loop has taken in what has arrived until then, such
 * as that its caller has gone: so calls that are made and dropped, however many, cost next to nothing, and whatever else the
 * guest is asked is answered between them.
 */
export class BoundedWork {
  readonly #bounds: WorkBounds;
  #running = 0;
  readonly #waiting = new Set<() => void>();

  constructor(bounds: WorkBounds) {
    this.#bounds = bounds;
  }

  /** `work` heeds the signal itself once it has begun. LIMIT_REACHED where too many wait; the signal's reason before it begins. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      await nextTurn();
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { name, running, waiting = 0 } = this.#bounds;
    if (this.#running < running) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.size >= waiting) {
      throw new CaissonError('LIMIT_REACHED', `${running + waiting} ${name} are under way.`, {
        hint: 'Wait for one to end.',
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const begin = (): void => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    };
    const giveUp = (): void => {
      this.#waiting.delete(begin);
      reject(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    this.#waiting.add(begin);
    await promise;
  }

  /** Hands the place to the one that has waited longest. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
