import type { TokenCounts } from './token-counts.ts';

/** US dollars for a million tokens: what is also millionths of a dollar for one. */
interface Price {
  readonly input: number;
  readonly cachedInput: number;
  /** Default: as `input`. */
  readonly cacheWrite?: number;
  readonly output: number;
  /** A call whose input is above `above` tokens costs so many times as much, all of it. */
  readonly long?: { readonly above: number; readonly input: number; readonly output: number };
}

/** The day on which the table was last gone through. Stored with every call that was priced by it. */
const version = '2026-11-21';

const longOpenAi = { above: 272_000, input: 2, output: 1.5 };

/**
 * List prices of the vendors' standard tier, without taxes, discounts and the prices of their own tools. Taken from what
 * others report of the vendors' pages (developers.openai.com/api/docs/pricing, platform.claude.com/docs/en/about-claude/pricing)
 * between July and November 2026. Names are those of the API without a date at the end.
 */
const prices: Readonly<Record<string, Price>> = {
  'gpt-6-astra': { input: 10, cachedInput: 1, output: 50, long: longOpenAi },
  'gpt-6.1-sol': { input: 2, cachedInput: 0.1, cacheWrite: 2.5, output: 10, long: longOpenAi },
  'gpt-6-sol': { input: 2, cachedInput: 0.2, cacheWrite: 2.5, output: 10, long: longOpenAi },
  'gpt-6-luna': { input: 0.1, cachedInput: 0.01, cacheWrite: 0.125, output: 0.5, long: longOpenAi },
  'gpt-5.6-sol': { input: 4, cachedInput: 0.4, output: 20, long: longOpenAi },
  'gpt-5.6-terra': { input: 2, cachedInput: 0.2, output: 12, long: longOpenAi },
  'gpt-5.6-luna': { input: 0.2, cachedInput: 0.02, output: 1.2, long: longOpenAi },
  'gpt-5.5': { input: 5, cachedInput: 0.5, output: 30, long: longOpenAi },
  'gpt-5.4': { input: 2.5, cachedInput: 0.25, output: 15, long: longOpenAi },
  'gpt-5.4-mini': { input: 0.75, cachedInput: 0.075, output: 4.5 },
  'gpt-5.4-nano': { input: 0.2, cachedInput: 0.02, output: 1.25 },
  'gpt-5.3-codex': { input: 1.75, cachedInput: 0.175, output: 14 },
  'claude-fable-5-1': { input: 10, cachedInput: 0.25, cacheWrite: 12.5, output: 50 },
  'claude-fable-5': { input: 10, cachedInput: 1, cacheWrite: 12.5, output: 50 },
  'claude-opus-5-5': { input: 4, cachedInput: 0.2, cacheWrite: 5, output: 20 },
  'claude-opus-5': { input: 5, cachedInput: 0.5, cacheWrite: 6.25, output: 25 },
  'claude-opus-4-8': { input: 5, cachedInput: 0.5, cacheWrite: 6.25, output: 25 },
  'claude-opus-4-7': { input: 5, cachedInput: 0.5, cacheWrite: 6.25, output: 25 },
  'claude-opus-4-6': { input: 5, cachedInput: 0.5, cacheWrite: 6.25, output: 25 },
  'claude-opus-4-5': { input: 5, cachedInput: 0.5, cacheWrite: 6.25, output: 25 },
  'claude-sonnet-5-5': { input: 2, cachedInput: 0.1, cacheWrite: 2.5, output: 10 },
  'claude-sonnet-5': { input: 2, cachedInput: 0.2, cacheWrite: 2.5, output: 10 },
  'claude-sonnet-4-6': { input: 3, cachedInput: 0.3, cacheWrite: 3.75, output: 15 },
  'claude-sonnet-4-5': { input: 3, cachedInput: 0.3, cacheWrite: 3.75, output: 15 },
  'claude-haiku-5-5': {
    input: 0.1,
    cachedInput: 0.01,
    cacheWrite: 0.125,
    output: 0.5,
    long: { above: 100_000, input: 5, output: 5 },
  },
  'claude-haiku-4-5': { input: 1, cachedInput: 0.1, cacheWrite: 1.25, output: 5 },
};

/**
 * Of a model that the table does not have: no call of one in it costs more, so that a budget errs on the safe side. Whatever
 * is priced by it is flagged: `default` is its version.
 */
const defaultPrice: Price = { input: 10, cachedInput: 10, cacheWrite: 12.5, output: 50, long: longOpenAi };

/** Names that have a price of their own, without a date. */
export const pricedModels: readonly string[] = Object.keys(prices);

/** What a model costs. */
export interface ModelPrice {
  /**
   * The version of the table; `default` for a model that it does not have, `demo` for the demo model. Stored with every call, and
   * counted in its sums.
   */
  readonly version: string;
  /** Whole millionths of a US dollar, rounded up. */
  cost(tokens: TokenCounts): number;
}

/** The demo model is a script on this machine. */
export const demoPrice: ModelPrice = { version: 'demo', cost: () => 0 };

/** The price of a model, by its name with or without a date at the end. */
export function priceOf(model: string): ModelPrice {
  const name = model.replace(/-(\d{8}|\d{4}-\d{2}-\d{2})$/, '');
  const known = Object.hasOwn(prices, name) ? prices[name] : undefined;
  const price = known ?? defaultPrice;
  return { version: known === undefined ? 'default' : version, cost: (tokens) => costAt(price, tokens) };
}

function costAt(price: Price, tokens: TokenCounts): number {
  const cached = Math.min(tokens.cachedInput, tokens.input);
  const written = Math.min(tokens.cacheWrite, tokens.input - cached);
  const isLong = price.long !== undefined && tokens.input > price.long.above;
  const input =
    (tokens.input - cached - written) * price.input +
    cached * price.cachedInput +
    written * (price.cacheWrite ?? price.input);
  const cost = isLong
    ? input * price.long.input + tokens.output * price.output * price.long.output
    : input + tokens.output * price.output;
  return Math.ceil(Math.round(cost * 1_000) / 1_000); // a sum such as 0.1 + 0.2 is not to cost a millionth more
}
