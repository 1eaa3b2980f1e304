import type { TRPCError } from '@trpc/server';
import { auditCall, audited, isLetIn, recognised } from '../audit/audited.ts';
import { detailsOfAnswer, idsIn } from '../audit/call-details.ts';
import type { AuditEnd } from '../audit/audit-trail.ts';
import { isRefusal } from '../audit/tally.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Demand } from '../auth/access.ts';
import type { Need } from '../auth/needs.ts';
import type { ApiContext } from './api-context.ts';
import { errorBodyOf, toTrpcError } from './error-mapping.ts';

type Caller = Pick<ApiContext, 'requestId' | 'address' | 'services' | 'identify' | 'authenticate'>;

interface Call {
  readonly path: string;
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly need: Need | undefined;
  readonly getRawInput: () => Promise<unknown>;
  /** Whether it changes what is stored, and so is answered when its record is on the disk. */
  readonly isStored: boolean;
}

type Result = { readonly ok: true; readonly data?: unknown } | { readonly ok: false; readonly error: TRPCError };

/**
 * Every call of the API on its way to the audit: a mutation has one record, a query one where it is refused. Subscriptions
 * fail later, and are seen by `refusedCall`.
 */
export async function auditedCall<R extends Result>(
  context: Caller,
  { path, type, need, getRawInput, isStored }: Call,
  work: (onGranted?: Demand['onGranted']) => Promise<R>,
): Promise<R> {
  if (type === 'subscription' || need === undefined) return await work();
  const notLetIn = async (thrown: unknown): Promise<never> => {
    await refusedCall(context, { path, error: toTrpcError(thrown), isChange: true, readInput: getRawInput });
    throw thrown;
  };
  if (type === 'query') {
    const result = await work();
    if (!result.ok) await refusedCall(context, { path, error: result.error, isChange: false, readInput: getRawInput });
    return result;
  }
  const principal = need === 'nothing' ? undefined : await recognised(context.authenticate()).catch(notLetIn);
  const input = await getRawInput().catch(() => undefined); // the procedure refuses it
  const call = auditCall({
    action: path,
    principal,
    address: context.address,
    requestId: context.requestId,
    input,
  });
  const agents: AgentId[] = [];
  const options = {
    isChange: isLetIn(principal, need),
    isStored,
    endOf: (result: R) => endOf(result, agents),
  };
  return await audited(context.services.recorder, call, options, () => work((agentId) => void agents.push(agentId)));
}

interface FailedCall {
  readonly path: string;
  readonly error: TRPCError;
  /** Whether it would have changed something. */
  readonly isChange: boolean;
  readonly readInput: () => unknown;
}

/** Notes a call that was refused before it could change anything. */
export async function refusedCall(context: Caller, { path, error, isChange, readInput }: FailedCall): Promise<void> {
  const { code } = errorBodyOf(toTrpcError(error));
  const isSeen = code === 'UNAUTHORIZED' || code === 'FORBIDDEN' || (isChange && isRefusal(code));
  if (!isSeen) return;
  const principal = await recognised(context.identify());
  const input = await Promise.resolve()
    .then(readInput)
    .catch(() => undefined); // it was refused before it was read
  const { address, requestId } = context;
  const call = auditCall({ action: path, principal, address, requestId, input });
  context.services.recorder.refused(call, code);
}

function endOf(result: Result, agents: readonly AgentId[]): AuditEnd {
  if (!result.ok) {
    const outcome = errorBodyOf(toTrpcError(result.error)).code;
    return { outcome, targets: agents, hasReachedSandbox: agents.length > 0 };
  }
  const targets = [...agents, ...idsIn(result.data)];
  return { outcome: 'ok', targets, details: detailsOfAnswer(result.data) };
}
