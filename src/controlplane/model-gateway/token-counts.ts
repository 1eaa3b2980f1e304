/** Tokens of one model call. */
export interface TokenCounts {
  /** All that the model read, those out of and into its cache included. */
  readonly input: number;
  /** Of these, read from the cache. */
  readonly cachedInput: number;
  /** Of these, written into the cache, where the service counts them. */
  readonly cacheWrite: number;
  /** All that the model wrote, its reasoning included. */
  readonly output: number;
  /** Of these, reasoning, where the service counts it. */
  readonly reasoning: number;
}

export const noTokens: TokenCounts = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };

/**
 * Of two counts of one call. A service may tell its usage more than once, and then counts on: the higher figure is the
 * later one.
 */
export function mergeCounts(a: TokenCounts | null, b: TokenCounts | null): TokenCounts | null {
  if (a === null || b === null) return a ?? b;
  return {
    input: Math.max(a.input, b.input),
    cachedInput: Math.max(a.cachedInput, b.cachedInput),
    cacheWrite: Math.max(a.cacheWrite, b.cacheWrite),
    output: Math.max(a.output, b.output),
    reasoning: Math.max(a.reasoning, b.reasoning),
  };
}
