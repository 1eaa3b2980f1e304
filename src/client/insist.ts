import { CaissonError } from '../kernel/errors.ts';
import { Backoff, pause } from './backoff.ts';

/**
 * Makes a call that may be repeated, again and again while the control plane is away or asks to come back later. Rejects
 * with the last error after `forMs` (default: 5 minutes), and at once with any other.
 */
export async function insist<T>(call: () => Promise<T>, forMs = 300_000): Promise<T> {
  const backoff = new Backoff();
  const until = performance.now() + forMs;
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      const delayMs = backoff.nextDelayMs();
      const isPassing = thrown instanceof CaissonError && thrown.retryable && thrown.code !== 'ABORTED';
      if (!isPassing || performance.now() + delayMs > until) throw thrown;
      await pause(delayMs);
    }
  }
}
