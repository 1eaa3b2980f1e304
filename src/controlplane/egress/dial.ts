import { connect, type Socket } from 'node:net';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import type { EgressTarget } from './ports.ts';
import { targetText } from './target.ts';

/** Of the system, for connections whose other end is gone without a word. */
const keepAliveMs = 60_000;

/**
 * A connection to the first of `addresses` that takes one, in their order. Nothing is resolved here.
 *
 * @throws CaissonError EGRESS_UNREACHABLE with what the last one said; the signal's reason.
 */
export async function dial(
  target: EgressTarget,
  addresses: readonly string[],
  options: { readonly attemptTimeoutMs: number; readonly signal: AbortSignal },
): Promise<Socket> {
  let last: unknown;
  for (const address of addresses) {
    try {
      return await dialAddress(address, target.port, options);
    } catch (thrown) {
      options.signal.throwIfAborted();
      last = thrown;
    }
  }
  throw new CaissonError('EGRESS_UNREACHABLE', `${targetText(target)} cannot be reached: ${reasonOf(last)}.`, {
    cause: last,
  });
}

function dialAddress(
  host: string,
  port: number,
  { attemptTimeoutMs, signal }: { readonly attemptTimeoutMs: number; readonly signal: AbortSignal },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    });
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const fail = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const abort = (): void => fail(signal.reason as Error);
    const timer = setTimeout(() => fail(new Error(`no answer within ${attemptTimeoutMs / 1_000} s`)), attemptTimeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    socket.once('error', fail);
    socket.once('connect', () => {
      settle();
      socket.off('error', fail);
      socket.on('error', () => undefined); // also emits 'close', which the connection watches
      resolve(socket);
    });
  });
}

/** The system's code: its words hold addresses, which are no business of the sandbox. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return errorText(thrown);
}
