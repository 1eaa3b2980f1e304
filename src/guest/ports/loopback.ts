import { connect, type Socket } from 'node:net';
import { CaissonError, errorText } from '../../kernel/errors.ts';

/** Longer than this takes only a server that no longer accepts. */
const connectTimeoutMs = 5_000;

/** What a connection fails with where nobody listens, or where there is no IPv6. */
const nobody: ReadonlySet<string | undefined> = new Set([
  'ECONNREFUSED',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ENETUNREACH',
]);

/**
 * Connects to a port of this machine, on 127.0.0.1 or else on ::1. Either end may close its half first. `signal` gives up.
 * Errors: PORT_NOT_LISTENING, DEADLINE_EXCEEDED after 5 s.
 */
export async function connectLoopback(port: number, signal: AbortSignal): Promise<Socket> {
  for (const host of ['127.0.0.1', '::1']) {
    try {
      return await connectTo(host, port, signal);
    } catch (thrown) {
      if (thrown instanceof CaissonError) throw thrown;
      signal.throwIfAborted();
      if (nobody.has((thrown as NodeJS.ErrnoException).code)) continue;
      throw new CaissonError('PORT_NOT_LISTENING', `Port ${port} cannot be reached: ${errorText(thrown)}.`);
    }
  }
  throw new CaissonError('PORT_NOT_LISTENING', `Nothing listens on port ${port} of the sandbox.`, {
    details: { port },
  });
}

function connectTo(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const abort = (): void => fail(signal.reason as Error);
    const fail = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new CaissonError('DEADLINE_EXCEEDED', `Port ${port} has not accepted within ${connectTimeoutMs / 1000} s.`));
    }, connectTimeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      settle();
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
