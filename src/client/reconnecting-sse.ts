import { CaissonError } from '../kernel/errors.ts';
import { Backoff, pause } from './backoff.ts';
import { unreachable, type Endpoint } from './endpoint.ts';
import { sse } from './sse.ts';

/** What the consumer of a subscription may say about its connection. */
export interface Reconnecting {
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** How long what has gone may stay away, in milliseconds. Default: 5 minutes. */
  readonly reconnectForMs?: number | undefined;
  /** Told why the connection broke, each time before it is tried again. */
  readonly onReconnect?: ((error: CaissonError) => void) | undefined;
}

interface ReconnectingSubscription extends Reconnecting {
  /** Of the procedure, such as `events.subscribe`. */
  readonly path: string;
  /** Of the next connection: where the consumer is by then. */
  readonly input: () => unknown;
  /** Whether a control plane that is away is waited for before anything was heard too. Default: the first answer is final. */
  readonly waitsAtFirst?: boolean;
  /** What trying again cannot change here, though elsewhere it may. Default: nothing. */
  readonly isFinal?: (error: CaissonError) => boolean;
}

/** A connection that held for less counts as one more failure. */
const steadyAfterMs = 5_000;

/**
 * The items of a subscription, as `sse` gives them, over as many connections as it takes; which items come again is up to
 * `input`. Only the time in which no connection could be had counts as absence, not what the consumer takes for an item.
 * Throws what trying again cannot change, and the last error when it was away for `reconnectForMs`.
 */
export async function* reconnectingSse<Item>(
  endpoint: Endpoint,
  { path, input, waitsAtFirst = false, isFinal = () => false, ...options }: ReconnectingSubscription,
): AsyncGenerator<Item, void, undefined> {
  const { signal = new AbortController().signal, reconnectForMs = 300_000, onReconnect } = options;
  const backoff = new Backoff();
  let wasAlive = false;
  let awaySince = performance.now();
  while (!signal.aborted) {
    let aliveSince: number | undefined;
    const onAlive = (): void => void (aliveSince ??= performance.now());
    let broken = unreachable(endpoint.url, `it ended ${path}`);
    try {
      yield* sse<Item>(endpoint, { path, input: input(), signal, onAlive });
    } catch (thrown) {
      if (!(thrown instanceof CaissonError)) throw thrown;
      broken = thrown;
    }
    if (signal.aborted) return;
    const now = performance.now();
    if (aliveSince !== undefined) {
      wasAlive = true;
      awaySince = now;
      if (now - aliveSince >= steadyAfterMs) backoff.reset();
    }
    const delayMs = backoff.nextDelayMs();
    const isAwaited = wasAlive || (waitsAtFirst && broken.code === 'CONTROL_PLANE_UNREACHABLE');
    if (!isAwaited || !mayPass(broken) || isFinal(broken) || now + delayMs - awaySince > reconnectForMs) throw broken;
    onReconnect?.(broken);
    await pause(delayMs, signal);
  }
}

/** Whether trying again can help. */
export function mayPass({ code, retryable, details }: CaissonError): boolean {
  const { status } = details;
  if (code !== 'CONTROL_PLANE_UNREACHABLE' || typeof status !== 'number') return retryable;
  return status >= 500; // a proxy says 502 to 504 while the control plane is down
}
