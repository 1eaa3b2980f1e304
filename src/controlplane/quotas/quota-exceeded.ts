import { CaissonError } from '../../kernel/errors.ts';
import { type Account, holderOf } from './account.ts';
import type { Dimension } from './dimension.ts';

interface Refusal {
  readonly account: Account;
  readonly dimension: Dimension;
  readonly limit: number;
  readonly used: number;
  /** Held by calls under way. */
  readonly reserved: number;
  readonly asked: number;
  /** Null: not by itself. */
  readonly resetsAt: number | null;
}

/** The one QUOTA_EXCEEDED: which limit, how much of it is used, and when that is over. */
export function quotaExceeded(refusal: Refusal): CaissonError {
  const { account, dimension, limit, used, reserved, resetsAt } = refusal;
  const inUse = reserved === 0 ? `${used}` : `${used}, and ${reserved} held by calls under way,`;
  return new CaissonError(
    'QUOTA_EXCEEDED',
    `The ${dimension} quota of this ${holderOf(account).kind} has no room: ${inUse} of ${limit} are used.`,
    {
      hint:
        resetsAt === null
          ? 'Free some of it, or ask an administrator for more: `caisson quotas show`.'
          : `It resets at ${new Date(resetsAt).toISOString()}. An administrator can give more: \`caisson quotas show\`.`,
      details: { ...refusal },
    },
  );
}
