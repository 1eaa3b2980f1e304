import { type BudgetHold, BudgetSpent, type ModelAmount, type ModelBudget } from './budget.ts';
import type { ModelCaller } from './callers.ts';
import type { ModelPrice } from './prices.ts';
import { noTokens, type TokenCounts } from './token-counts.ts';

/** Of a request's body, images included, one token stands in so many bytes. */
const bytesPerToken = 4;
/** No model reads more. A body of images is large, and has few tokens. */
const mostInputTokens = 400_000;
/** What is held for the answer at a time. */
const outputStep = 1_000;

interface CallMeterOptions {
  readonly budget: ModelBudget;
  readonly caller: ModelCaller;
  readonly price: ModelPrice;
  /** Of the request's body, as far as it is known. */
  readonly requestBytes: number;
}

/** What a call is counted as. */
export interface Charge extends ModelAmount {
  readonly counts: TokenCounts;
  /** The service did not tell: the tokens are counted by the size of what passed. */
  readonly isEstimated: boolean;
}

/**
 * What one call takes of the budget. Room for its input and the beginning of its answer is held before it is passed on;
 * while the answer grows more is held, and when there is no more, `onSpent` is told. A call can exceed its budget only by
 * what a service does not show while it works: reasoning, and input that is larger than its bytes say.
 */
export class CallMeter {
  readonly #hold: BudgetHold;
  readonly #price: ModelPrice;
  readonly #input: number;
  readonly #onSpent: (error: BudgetSpent) => void;
  #held = outputStep;
  #wanted = 0;
  #extending: Promise<void> | undefined;
  #refused: BudgetSpent | undefined;
  #isOver = false;
  #charge: Charge | null = null;

  private constructor(
    hold: BudgetHold,
    options: { readonly price: ModelPrice; readonly input: number; readonly onSpent: (error: BudgetSpent) => void },
  ) {
    this.#hold = hold;
    this.#price = options.price;
    this.#input = options.input;
    this.#onSpent = options.onSpent;
  }

  /** Throws BudgetSpent when there is no room. `onSpent` is told at most once. */
  static async open(
    options: CallMeterOptions & { readonly onSpent: (error: BudgetSpent) => void },
  ): Promise<CallMeter> {
    const { budget, caller, price, requestBytes, onSpent } = options;
    const input = Math.min(Math.ceil(requestBytes / bytesPerToken), mostInputTokens);
    const hold = await budget.hold(caller, amountOf(price, { ...noTokens, input, output: outputStep }));
    return new CallMeter(hold, { price, input, onSpent });
  }

  /** What the call was settled at, also where the budget did not take it; null before, and where it took nothing. */
  get charge(): Charge | null {
    return this.#charge;
  }

  /**
   * The answer has come to so many tokens. Undefined while there is room for them; else it resolves when there is, or when
   * `onSpent` has been told, and no more of the answer may pass before.
   */
  saw(outputTokens: number): Promise<void> | undefined {
    this.#wanted = outputTokens;
    // Half a step is asked for ahead, so that the answer need not wait; what is held may pass in any case.
    const ahead = this.#refused === undefined ? outputStep / 2 : 0;
    if (this.#isOver || this.#wanted + ahead <= this.#held) return undefined;
    this.#extending ??= this.#extend();
    return this.#wanted > this.#held ? this.#extending : undefined;
  }

  /** The service told its usage; `isEstimated`: not all of it. `charge` is known at once; resolves when the budget has it. */
  async settle(counts: TokenCounts, { isEstimated = false } = {}): Promise<void> {
    await this.#settle(counts, isEstimated);
  }

  /** The service took the call and did not tell its usage. */
  async settleByEstimate(output: number): Promise<void> {
    await this.#settle({ ...noTokens, input: this.#input, output }, true);
  }

  /** Nothing of the answer was seen either: it is what was held for it, or `output` where that is more. */
  async settleUnseen(output: number): Promise<void> {
    await this.settleByEstimate(Math.max(this.#held, output));
  }

  /** The call took nothing. */
  async release(): Promise<void> {
    this.#isOver = true;
    await this.#extending;
    await this.#hold.release();
  }

  async #settle(counts: TokenCounts, isEstimated: boolean): Promise<void> {
    this.#isOver = true;
    const amount = amountOf(this.#price, counts);
    this.#charge = { ...amount, counts, isEstimated };
    await this.#extending;
    await this.#hold.settle(amount);
  }

  /** Never rejects. */
  async #extend(): Promise<void> {
    try {
      while (this.#wanted + outputStep / 2 > this.#held && !this.#isOver) {
        await this.#hold.extend(amountOf(this.#price, { ...noTokens, output: outputStep }));
        this.#held += outputStep;
        this.#refused = undefined;
      }
    } catch (thrown) {
      this.#refused = thrown instanceof BudgetSpent ? thrown : BudgetSpent.unknown(thrown);
    }
    this.#extending = undefined;
    if (this.#refused === undefined || this.#isOver || this.#wanted <= this.#held) return;
    this.#isOver = true;
    this.#onSpent(this.#refused);
  }
}

function amountOf(price: ModelPrice, counts: TokenCounts): ModelAmount {
  return { tokens: counts.input + counts.output, costMicros: price.cost(counts) };
}
