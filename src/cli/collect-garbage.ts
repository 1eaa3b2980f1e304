import { Session } from 'node:inspector/promises';

/**
 * Collects all garbage at once, and gives its memory back. V8 keeps what a program has once had, and a start leaves 8 MB of it.
 * Takes some 125 ms of processor time, over all threads.
 */
export async function collectGarbage(): Promise<void> {
  const session = new Session(); // with this process itself: nothing listens
  session.connect();
  try {
    await session.post('HeapProfiler.collectGarbage');
  } finally {
    session.disconnect();
  }
}
