import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as pass } from 'node:timers/promises';
import { CaissonError } from '../../src/kernel/errors.ts';

const patienceMs = 10_000;

/**
 * Connects to a unix socket as soon as somebody listens on it. Undefined when `isAlive` says that nobody will any more;
 * rejects with WIRE_LOST after 10 s.
 */
export async function connectWhenListening(
  path: string,
  isAlive: () => Promise<boolean>,
  signal?: AbortSignal,
): Promise<Socket | undefined> {
  const end = Date.now() + patienceMs;
  while (await isAlive()) {
    signal?.throwIfAborted();
    const socket = createConnection(path);
    try {
      await once(socket, 'connect', signal ? { signal } : {});
      return socket;
    } catch (cause) {
      socket.destroy();
      signal?.throwIfAborted();
      if (Date.now() > end) throw new CaissonError('WIRE_LOST', `Nobody listens on ${path}.`, { cause });
      await pass(5);
    }
  }
  return undefined;
}
