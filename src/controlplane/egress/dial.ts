import { connect, type Socket } from 'node:net';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import type { EgressTarget } from './ports.ts';
import { targetText } from './target.ts';

/** Of the system, for connections whose other end is gone without a word. */
const keepAliveMs = 60_000;

/** A connection to one address. Rejects with what the system said, or the signal's reason. */
export type ConnectTo = (address: string, port: number, options: DialBounds) => Promise<Socket>;

interface DialBounds {
  readonly attemptTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * A connection to the first of `addresses` that takes one, in their order. Nothing is resolved here.
 *
 * @throws CaissonError EGRESS_UNREACHABLE with what the last one said; the signal's reason.
 */
export async function dial(
  target: EgressTarget,
  addresses: readonly string[],
  options: DialBounds & { readonly connectTo: ConnectTo },
): Promise<Socket> {
  let last: unknown;
  for (const address of addresses) {
    try {
      return await options.connectTo(address, target.port, options);
    } catch (thrown) {
      options.signal.throwIfAborted();
      last = thrown;
    }
  }
  throw new CaissonError('EGRESS_UNREACHABLE', `${targetText(target)} cannot be reached: ${reasonOf(last)}.`, {
    cause: last,
  });
}

/** By TCP. */
export const connectTcp: ConnectTo = (host, port, { attemptTimeoutMs, signal }) =>
  new Promise((resolve, reject) => {
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

/** The system's code: its words hold addresses, which are no business of the sandbox. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return errorText(thrown);
}
