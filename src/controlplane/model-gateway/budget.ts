import type { ModelCaller } from './callers.ts';

/** What a model call takes. */
export interface ModelAmount {
  /** Input and output together. */
  readonly tokens: number;
  /** Millionths of a US dollar. */
  readonly costMicros: number;
}

/**
 * What users, agents and conversations may still spend on models. Whoever keeps it sees to it that what is held and what
 * is spent never exceed a limit together, whatever happens at the same time.
 */
export interface ModelBudget {
  /** Holds room for a call before it is passed on. Throws BudgetSpent when there is none. */
  hold(caller: ModelCaller, amount: ModelAmount): Promise<BudgetHold>;
}

/** Room for one call, until `settle` or `release` ends it. */
export interface BudgetHold {
  /** Holds more. Throws BudgetSpent when there is no more, and then holds what it held before. */
  extend(more: ModelAmount): Promise<void>;
  /** The call took this, be it less or more than was held. */
  settle(actual: ModelAmount): Promise<void>;
  /** The call took nothing. */
  release(): Promise<void>;
}

/** There is no room. The message says of what, for people. */
export class BudgetSpent extends Error {
  override readonly name = 'BudgetSpent';
  /** Milliseconds since the epoch; null where no time gives it back. */
  readonly resetsAt: number | null;

  constructor(message: string, options: { readonly resetsAt?: number | null; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.resetsAt = options.resetsAt ?? null;
  }

  /** Nobody can say whether there is room: then there is none. */
  static unknown(cause: unknown): BudgetSpent {
    return new BudgetSpent('Whether the budget has room for more cannot be told.', { cause });
  }
}
