interface Row {
  /**
   * `metered`: used up in the course of a window, and kept by the ledger. `stock`: counted from what is there, in the
   * transaction that takes more of it. `rate`: a token bucket in memory. `size`: compared with the one thing at hand.
   */
  readonly kind: 'metered' | 'stock' | 'rate' | 'size';
  /** In what a limit is given. */
  readonly unit: string;
}

/** Everything that a quota can limit. An amount is a whole number of its unit, but for processor cores. */
export const dimensions = {
  agents: { kind: 'stock', unit: 'agents' },
  running_sandboxes: { kind: 'stock', unit: 'sandboxes' },
  /** Of the sandboxes that run. */
  cpu: { kind: 'stock', unit: 'processor cores' },
  /** Of the sandboxes that run. */
  memory: { kind: 'stock', unit: 'bytes' },
  /** Of the messages that are kept. */
  history_bytes: { kind: 'stock', unit: 'bytes' },
  /** Of workspaces and homes, whether their sandboxes run or not. */
  disk: { kind: 'stock', unit: 'bytes' },
  message_bytes: { kind: 'size', unit: 'bytes' },
  requests: { kind: 'rate', unit: 'requests a minute' },
  sandbox_minutes: { kind: 'metered', unit: 'minutes' },
  tokens: { kind: 'metered', unit: 'tokens' },
  cost: { kind: 'metered', unit: 'millionths of a dollar' },
  egress_bytes: { kind: 'metered', unit: 'bytes' },
} as const satisfies Record<string, Row>;

export type Dimension = keyof typeof dimensions;

/** Those that the ledger keeps. */
export type MeteredDimension = {
  [Name in Dimension]: (typeof dimensions)[Name]['kind'] extends 'metered' ? Name : never;
}[Dimension];

export const dimensionNames = Object.keys(dimensions) as Dimension[];

/** Whether an agent can have a limit of its own. */
export function isOfAgents(dimension: Dimension): boolean {
  return dimension === 'disk' || isMetered(dimension);
}

/** Whether a conversation can. */
export function isMetered(dimension: Dimension): dimension is MeteredDimension {
  return dimensions[dimension].kind === 'metered';
}
