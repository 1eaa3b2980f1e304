import type { Clock } from '../kernel/clock.ts';

/** The silence is counted in so many steps; it is noticed at most one step late. */
const steps = 4;

/**
 * Calls `onIdle` once after `timeoutMs` without a `touch`. Silence while `isExcused` does not count. Counted in steps, so
 * that a touch costs nothing and a machine that slept is not taken for a silent harness.
 */
export class IdleWatch implements Disposable {
  #silentSteps = 0;
  #cancel: () => void;

  constructor(clock: Clock, timeoutMs: number, isExcused: () => boolean, onIdle: () => void) {
    const step = (): void => {
      this.#silentSteps = isExcused() ? 0 : this.#silentSteps + 1;
      if (this.#silentSteps >= steps) return onIdle();
      this.#cancel = clock.schedule(timeoutMs / steps, step);
    };
    this.#cancel = clock.schedule(timeoutMs / steps, step);
  }

  touch(): void {
    this.#silentSteps = 0;
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }
}
