import { Session } from 'node:inspector/promises';

/**
 * Collects all garbage at once, and gives its memory back. V8 keeps what a program has once had, and a start leaves 10 MB of it.
 * Takes about 100 ms, in which nothing else is done.
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
