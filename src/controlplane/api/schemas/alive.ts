/**
 * What the control plane says as text over each of its WebSockets every 20 s, beside pings, which platforms do not show to
 * programs: a client that hears nothing for 45 s takes the connection for dead. It means nothing else.
 */
export interface AliveMessage {
  readonly type: 'alive';
}
