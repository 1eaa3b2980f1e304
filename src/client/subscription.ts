import { CaissonError } from '../kernel/errors.ts';
import type { AgentEvent } from './api.ts';
import type { Endpoint } from './endpoint.ts';
import { type Reconnecting, reconnectingSse } from './reconnecting-sse.ts';

export interface SubscribeOptions extends Reconnecting {
  readonly agentId: string;
  /** Events with a `seq` above this one. Default 0: everything that is kept. */
  readonly after?: number;
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
  { agentId, after = 0, ...reconnecting }: SubscribeOptions,
): AsyncGenerator<AgentEvent, void, undefined> {
  let last = after;
  const input = () => ({ agentId, after: last });
  const subscription = { path: 'events.subscribe', input, waitsAtFirst: true, ...reconnecting };
  // The shape of an event is the server's promise, as with every answer in tRPC; what is checked is what the guarantee needs.
  for await (const event of reconnectingSse<AgentEvent>(endpoint, subscription)) {
    const { seq } = event;
    if (seq <= last) continue; // sent again after a reconnection
    if (seq !== last + 1) {
      throw new CaissonError('INTERNAL', `The control plane sent event ${seq} after event ${last}.`, {
        details: { expected: last + 1, received: seq },
      });
    }
    last = seq;
    yield event;
  }
}
