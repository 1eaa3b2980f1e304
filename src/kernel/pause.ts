import type { Clock } from './clock.ts';
import { orAbort } from './deadline.ts';

/** Resolves after `ms`, or rejects with the signal's reason when that comes first. Leaves no timer behind. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.schedule(ms, resolve);
  try {
    await orAbort(promise, signal);
  } finally {
    cancel();
  }
}
