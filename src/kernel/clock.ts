/** Time, injected, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. May jump; use it for records. */
  now(): number;
  /** Milliseconds since some moment, which never jump; use it for durations. */
  elapsed(): number;
  /** Calls `callback` once after `delayMs`. The returned function takes it back. Does not keep the process alive. */
  schedule(delayMs: number, callback: () => void): () => void;
}

// setTimeout fires at once for delays above 2^31-1 ms; longer ones are walked in steps.
const longestTimer = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  schedule(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      const step = Math.min(left, longestTimer);
      timer = setTimeout(() => (left > step ? arm(left - step) : callback()), Math.max(0, step));
      timer.unref();
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};
