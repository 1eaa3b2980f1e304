import { InvalidArgumentError } from 'commander';
import { AmountRefused, readLimit } from '../controlplane/quotas/amount-text.ts';
import type { Dimension } from '../controlplane/quotas/dimension.ts';

export type LimitsChange = { readonly [Name in Dimension]?: number | null | 'default' };

/** `name=amount`, `name=none` or `name=default`, put to those that were given before. */
export function quotaLimit(text: string, previous: LimitsChange = {}): LimitsChange {
  try {
    const isBack = text.endsWith('=default');
    const [name, amount] = readLimit(isBack ? text.replace(/default$/, 'none') : text);
    return { ...previous, [name]: isBack ? 'default' : amount };
  } catch (thrown) {
    if (thrown instanceof AmountRefused) throw new InvalidArgumentError(sentence(thrown.message));
    throw thrown;
  }
}

function sentence(clause: string): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`;
}
