import type { AgentEvent } from './api.ts';
import { type Calls, createCalls } from './calls.ts';
import { createEndpoint, type EndpointOptions } from './endpoint.ts';
import { subscribe, type SubscribeOptions } from './subscription.ts';
import { follow, type FollowOptions, send, type SendOptions, type Turn } from './turn.ts';

/**
 * A control plane, as its API is: `client.agents.list.query()`, `client.runs.start.mutate({ … })`. Every rejection is a
 * CaissonError. Nothing is kept open between calls, so there is nothing to close.
 */
export interface CaissonClient extends Pick<
  Calls,
  'agents' | 'conversations' | 'runs' | 'permissions' | 'ports' | 'previews' | 'keys' | 'system'
> {
  /** Where the control plane is. */
  readonly url: string;
  /** `read` gives pages of stored events; use `subscribe` of the client to follow them. */
  readonly events: Pick<Calls['events'], 'read'>;
  /** {@inheritDoc subscribe} */
  subscribe(options: SubscribeOptions): AsyncIterable<AgentEvent>;
  /** {@inheritDoc send} */
  send(options: SendOptions): Promise<Turn>;
  /** {@inheritDoc follow} */
  follow(options: FollowOptions): Promise<Turn>;
}

/** Makes a client without calling anything. Throws CONFIG_INVALID for a URL or key that cannot be one. */
export function createCaissonClient(options: EndpointOptions): CaissonClient {
  const endpoint = createEndpoint(options);
  const { agents, conversations, runs, events, permissions, ports, previews, keys, system } = createCalls(endpoint);
  const client: CaissonClient = {
    url: endpoint.url,
    agents,
    conversations,
    runs,
    events,
    permissions,
    ports,
    previews,
    keys,
    system,
    subscribe: (subscription) => subscribe(endpoint, subscription),
    send: (message) => send(client, message),
    follow: (run) => follow(client, run),
  };
  return client;
}
