import { byteSize } from '../kernel/byte-size.ts';
import { CaissonError } from '../kernel/errors.ts';

/** The exact number is in the details. */
const isOfBytes = /^(memory|disk)$|_bytes$/;

interface Refusal {
  /** What has no room: a name of the table of dimensions. */
  readonly dimension: string;
  /** Whose limit it is. Default: that of the owner of agents. */
  readonly of?: 'user' | 'agent' | 'conversation';
  readonly limit: number;
  readonly used: number;
  /** Held by calls under way. Default: 0. */
  readonly reserved?: number;
  readonly asked: number;
  /** When it is empty again, in milliseconds since the epoch. Default: null, not by itself. */
  readonly resetsAt?: number | null;
  /** Default: to free some, or to wait until it resets. */
  readonly hint?: string;
}

/** The one QUOTA_EXCEEDED: which limit, how much of it is used, what does not fit into the rest, and when that is over. */
export function quotaExceeded(refusal: Refusal): CaissonError {
  const { dimension, of = 'user', limit, used, reserved = 0, asked, resetsAt = null } = refusal;
  const text = dimension === 'cost' ? dollars : isOfBytes.test(dimension) ? byteSize : String;
  const held = reserved === 0 ? '' : `, and ${text(reserved)} held`;
  const beyond = used + reserved < limit ? `; this needs ${text(asked)} more` : '';
  const inUse = `${text(used)} of ${text(limit)} are used${held}${beyond}`;
  const hint =
    refusal.hint ??
    (resetsAt === null
      ? 'Free some of it, or ask an administrator for more. `caisson quotas show` shows all of them.'
      : `It resets at ${new Date(resetsAt).toISOString()}. ${of === 'user' ? 'An administrator' : 'Whoever owns the agent'} can give more, by \`caisson quotas set\`.`);
  return new CaissonError('QUOTA_EXCEEDED', `The ${dimension} quota of this ${of} has no room: ${inUse}.`, {
    hint,
    details: { dimension, of, limit, used, reserved, asked, resetsAt },
  });
}

/** Of millionths; to the cent, or further where there is more, as budgets of less than a cent are in use. */
function dollars(micros: number): string {
  return `$${(micros / 1e6).toFixed(6).replace(/0{1,4}$/, '')}`;
}
