import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { Principal } from '../auth/identity.ts';
import type { Need } from '../auth/needs.ts';
import { refusalOf } from '../auth/needs.ts';
import type { AuditEnd, AuditTrail } from './audit-trail.ts';
import { agentAmong, detailsOf, idsIn } from './call-details.ts';
import type { AuditCall } from './record.ts';

/** Where records go. */
export type Recorder = Pick<AuditTrail, 'begin' | 'beginInSandbox' | 'refused'>;

/** Something that a caller asks for. */
export interface Asked {
  readonly action: string;
  /** Undefined for a caller who was not recognised. */
  readonly principal: Principal | undefined;
  readonly address: string;
  readonly requestId: string | null;
  /** As it was given, by whomever. */
  readonly input: unknown;
}

/** What is recorded of it. */
export function auditCall({ action, principal, address, requestId, input }: Asked): AuditCall {
  const ids = idsIn(input);
  return {
    action,
    userId: principal?.userId ?? null,
    userName: principal?.userName ?? null,
    keyId: principal?.keyId ?? null,
    agentId: agentAmong(ids),
    targets: ids,
    details: principal === undefined ? {} : detailsOf(input),
    address: address.slice(0, 64),
    requestId,
  };
}

/** Whether somebody may ask for what has this need at all: what is not let in changes nothing. */
export function isLetIn(principal: Principal | undefined, need: Need): boolean {
  if (need === 'nothing') return true;
  return principal !== undefined && refusalOf(principal, need) === undefined;
}

interface AuditedOptions<Result> {
  /** Whether it may change something: then it has its record whatever comes of it. Else only its refusal has one. */
  readonly isChange: boolean;
  /** Whether it changes what is stored; else it acts in a sandbox, or only looks. */
  readonly isStored: boolean;
  /** Of work that does not throw what it failed with. Default: it went well. */
  readonly endOf?: (result: Result) => AuditEnd;
}

/**
 * Does the work, and resolves or rejects as it did, when what came of it is recorded. The work calls what it is given before it asks a
 * sandbox for anything.
 */
export async function audited<Result>(
  recorder: Recorder,
  call: AuditCall,
  { isChange, isStored, endOf = () => ({ outcome: 'ok' }) }: AuditedOptions<Result>,
  work: (onSandbox: () => void) => Promise<Result>,
): Promise<Result> {
  const stored = isChange && isStored ? await recorder.begin(call) : undefined;
  const sandboxed = isChange && !isStored ? await recorder.beginInSandbox(call) : undefined;
  const conclude = async (end: AuditEnd): Promise<void> => {
    await stored?.end(end);
    sandboxed?.end(end);
    if (isChange) return;
    if (end.outcome === 'UNAUTHORIZED' || end.outcome === 'FORBIDDEN') recorder.refused(call, end.outcome);
  };
  let hasReachedSandbox = false;
  let result: Result;
  try {
    result = await work(() => void (hasReachedSandbox = true));
  } catch (thrown) {
    await conclude({ outcome: toCaissonError(thrown).code, hasReachedSandbox });
    throw thrown;
  }
  await conclude(endOf(result));
  return result;
}

/** The caller, or undefined where nobody is known, or a browser is not believed; other errors are thrown. */
export async function recognised(principal: Promise<Principal>): Promise<Principal | undefined> {
  try {
    return await principal;
  } catch (thrown) {
    if (thrown instanceof CaissonError && (thrown.code === 'UNAUTHORIZED' || thrown.code === 'FORBIDDEN'))
      return undefined;
    throw thrown;
  }
}
