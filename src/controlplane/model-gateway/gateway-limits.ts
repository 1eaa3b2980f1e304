/** Bounds of the model gateway. Times in milliseconds. */
export interface GatewayLimits {
  /** Of one request's body. Codex sends 60 KB and the conversation. */
  readonly maxRequestBytes: number;
  /** Of all bodies together, as long as they are not passed on; one agent can hold a quarter of it. */
  readonly maxHeldBytes: number;
  readonly maxCallsPerAgent: number;
  readonly maxCalls: number;
  /** From the request to a connection with the service, TLS included. */
  readonly connectTimeoutMs: number;
  /** From the request to the end of its body, however it comes. */
  readonly bodyTimeoutMs: number;
  /** Longest silence of the guest in its body, and of the service before its answer begins. */
  readonly firstByteTimeoutMs: number;
  /** Longest silence in the middle of an answer, and longest time that the guest may take nothing of it. */
  readonly idleTimeoutMs: number;
}

export const defaultGatewayLimits: GatewayLimits = {
  maxRequestBytes: 64 * 1024 * 1024,
  maxHeldBytes: 256 * 1024 * 1024,
  maxCallsPerAgent: 32,
  maxCalls: 1_024,
  connectTimeoutMs: 10_000,
  bodyTimeoutMs: 600_000,
  firstByteTimeoutMs: 300_000,
  idleTimeoutMs: 300_000,
};
