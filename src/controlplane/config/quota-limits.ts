import { z } from 'zod';
import { AmountRefused, readLimit } from '../quotas/amount-text.ts';
import type { SomeLimits } from '../quotas/policy.ts';

/** Limits as `readLimit` has them, separated by commas. */
export function quotaLimits() {
  return z.string().transform((text, context) => {
    try {
      return Object.fromEntries(text.split(',').map(readLimit)) satisfies SomeLimits;
    } catch (thrown) {
      if (!(thrown instanceof AmountRefused)) throw thrown;
      context.addIssue(`\`<quota>=<amount>\`, separated by commas: ${thrown.message}`);
      return z.NEVER;
    }
  });
}
