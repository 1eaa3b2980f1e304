import {
  type BudgetHold,
  BudgetSpent,
  type ModelAmount,
  type ModelBudget,
} from '../../../src/controlplane/model-gateway/budget.ts';

/** A budget of so many tokens, in memory. */
export class MemoryBudget implements ModelBudget {
  readonly limit: number;
  readonly resetsAt: number | null;
  spent = 0;
  held = 0;
  spentMicros = 0;
  /** Holds that were given, and how each ended. */
  readonly endings: ('settled' | 'released')[] = [];
  /** What is asked next fails by it. */
  failure: Error | undefined;

  constructor(limit = Infinity, resetsAt: number | null = null) {
    this.limit = limit;
    this.resetsAt = resetsAt;
  }

  async hold(_: unknown, amount: ModelAmount): Promise<BudgetHold> {
    this.#take(amount.tokens);
    let held = amount.tokens;
    const end = (ending: 'settled' | 'released'): void => {
      this.held -= held;
      this.endings.push(ending);
    };
    return {
      extend: async (more) => {
        this.#take(more.tokens);
        held += more.tokens;
      },
      settle: async (actual) => {
        if (this.failure !== undefined) throw this.failure;
        end('settled');
        this.spent += actual.tokens;
        this.spentMicros += actual.costMicros;
      },
      release: async () => end('released'),
    };
  }

  #take(tokens: number): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.spent + this.held + tokens > this.limit) {
      throw new BudgetSpent(`The budget of ${this.limit} tokens is spent.`, { resetsAt: this.resetsAt });
    }
    this.held += tokens;
  }
}
