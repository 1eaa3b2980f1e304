import { CaissonError } from '../kernel/errors.ts';
import type { AgentEvent } from './api.ts';
import { Backoff, pause } from './backoff.ts';
import { unreachable, type Endpoint } from './endpoint.ts';
import { openSseStream, type StreamedItem } from './sse-stream.ts';

export interface SubscribeOptions {
  readonly agentId: string;
  /** Events with a `seq` above this one. Default 0: everything that is kept. */
  readonly after?: number;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** How long a control plane that has gone may stay away, in milliseconds. Default: 5 minutes. */
  readonly reconnectForMs?: number;
  /** Told why the connection broke, each time before it is tried again. */
  readonly onReconnect?: (error: CaissonError) => void;
}

/**
 * The events of an agent, stored ones first and then live, each exactly once and in order. A connection that breaks is
 * opened again after the last event that the consumer got. Nothing is read ahead beyond one network read.
 *
 * Throws, and so ends, with: CURSOR_EXPIRED, CURSOR_AHEAD, UNAUTHORIZED, AGENT_NOT_FOUND and other answers of the control
 * plane that trying again cannot change; CONTROL_PLANE_UNREACHABLE once it has been away for `reconnectForMs`.
 */
export async function* subscribe(
  endpoint: Endpoint,
  options: SubscribeOptions,
): AsyncGenerator<AgentEvent, void, undefined> {
  const { agentId, reconnectForMs = 300_000, onReconnect } = options;
  const signal = options.signal ?? new AbortController().signal;
  const backoff = new Backoff();
  let last = options.after ?? 0;
  let everAlive = false;
  let awaySince = performance.now();

  while (!signal.aborted) {
    let broken: CaissonError;
    let alive = false;
    const onAlive = (): void => {
      alive = true;
      everAlive = true;
    };
    try {
      const request = { path: 'events.subscribe', input: { agentId, after: last }, signal, onAlive };
      for await (const batch of openSseStream(endpoint, request)) {
        for (const item of batch) {
          const seq = Number(item.id);
          if (seq <= last) continue; // sent again after a reconnection
          const event = readEvent(item, last);
          last = seq;
          yield event;
          if (signal.aborted) return;
        }
      }
      broken = unreachable(endpoint.url, 'it ended the stream of events');
    } catch (thrown) {
      if (signal.aborted) return;
      if (!(thrown instanceof CaissonError) || !mayPass(thrown, everAlive)) throw thrown;
      broken = thrown;
    }
    if (alive) {
      awaySince = performance.now();
      backoff.reset();
    }
    const delayMs = backoff.nextDelayMs();
    if (performance.now() + delayMs - awaySince > reconnectForMs) throw broken;
    onReconnect?.(broken);
    await pause(delayMs, signal);
  }
}

/** Whether trying again can help. An answer to the very first attempt is final: only silence is waited out. */
function mayPass(error: CaissonError, everAlive: boolean): boolean {
  if (error.code !== 'CONTROL_PLANE_UNREACHABLE') return error.retryable && everAlive;
  const { status } = error.details;
  return typeof status !== 'number' || status >= 500; // a proxy says 502 to 504 while the control plane is down
}

// The shape of an event is the server's promise, as with every answer in tRPC; what is checked is what the guarantee needs.
function readEvent({ id, json }: StreamedItem, last: number): AgentEvent {
  const seq = Number(id);
  const event = JSON.parse(json) as AgentEvent;
  if (seq === last + 1 && event.seq === seq) return event;
  throw new CaissonError('INTERNAL', `The control plane sent event ${event.seq} (id ${seq}) after event ${last}.`, {
    details: { expected: last + 1, received: seq },
  });
}
