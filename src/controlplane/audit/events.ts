import type { Principal } from '../auth/identity.ts';
import { boundedDetails } from './call-details.ts';
import type { AuditCall, AuditDetails, AuditOutcome } from './record.ts';

/**
 * What is recorded beside the calls of the API. `each`: every one has its record. `counted`: the first of a minute has, and
 * those like it, of the same who, what, about what, how and details, are one more record with their number.
 */
export const auditEvents = {
  /** Somebody has logged in. */
  'session.created': 'each',
  /** Somebody was not let in. */
  'session.refused': 'counted',
  /** By what its user did, or by its time. Where its user is disabled or deleted, that call says so. */
  'session.ended': 'each',
  /** A secret was used for an agent, which did not see it. */
  'secret.used': 'counted',
  /** A question whether an agent may go to a host ended without anybody's answer. */
  'egress.lapsed': 'counted',
} as const satisfies Readonly<Record<string, 'each' | 'counted'>>;

export interface AuditEvent {
  readonly action: keyof typeof auditEvents;
  /** Default: nobody, or nobody who is known. */
  readonly by?: Pick<Principal, 'userId'> & Partial<Pick<Principal, 'userName' | 'keyId'>>;
  readonly agentId?: string;
  /** Ids of what it is about. */
  readonly targets?: readonly string[];
  /** Of who asked for it. */
  readonly address?: string;
  readonly requestId?: string;
  /** Never a secret. Bounded, and what looks like a secret is concealed. */
  readonly details?: AuditDetails;
  /** Default: `ok`. */
  readonly outcome?: Exclude<AuditOutcome, 'INTERRUPTED'>;
}

export function eventCall({
  action,
  by,
  agentId,
  targets = [],
  address,
  requestId,
  details = {},
}: AuditEvent): AuditCall {
  return {
    action,
    userId: by?.userId ?? null,
    userName: by?.userName ?? null,
    keyId: by?.keyId ?? null,
    agentId: agentId ?? null,
    targets: targets.slice(0, 16),
    details: boundedDetails(details),
    address: address?.slice(0, 64) ?? null,
    requestId: requestId ?? null,
  };
}
