import { mostEgressConnections } from '../../wire/contract/egress.ts';

/** Bounds of the egress gateway. Times in milliseconds. */
export interface EgressLimits {
  readonly maxConnectionsPerAgent: number;
  readonly maxConnections: number;
  /** Bytes a second of one agent, both directions together, with a burst of one second. Null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
  /** How long a decision of the policy may take, where a person is asked. */
  readonly decisionTimeoutMs: number;
  readonly resolveTimeoutMs: number;
  /** For each address of a name, of which at most four are tried. */
  readonly dialTimeoutMs: number;
  /** From the connection to the end of the program's TLS hello, or of the head of its HTTP request. */
  readonly helloTimeoutMs: number;
  /** Longest silence of both sides. */
  readonly idleTimeoutMs: number;
}

export const defaultEgressLimits: EgressLimits = {
  maxConnectionsPerAgent: mostEgressConnections,
  maxConnections: 8_192,
  bytesPerSecond: null,
  decisionTimeoutMs: 10 * 60_000,
  resolveTimeoutMs: 10_000,
  dialTimeoutMs: 10_000,
  helloTimeoutMs: 10_000,
  idleTimeoutMs: 15 * 60_000,
};
