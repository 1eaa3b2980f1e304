import { initTRPC, type TRPCError, type TRPCProcedureType } from '@trpc/server';
import { CaissonError, type ErrorBody } from '../../kernel/errors.ts';
import type { Demand } from '../auth/access.ts';
import type { Principal } from '../auth/identity.ts';
import { ApiContext } from './api-context.ts';
import { auditedCall } from './audited-call.ts';
import { errorBodyOf, isDefect, toTrpcError } from './error-mapping.ts';
import type { ProcedureMeta } from './procedure-meta.ts';
import type { RequestContext } from './request-context.ts';
import type { ApiServices } from './services.ts';

/** How clients find a dead subscription: a ping at least this often, and how long they wait for one. */
export const subscriptionHeartbeat = { pingIntervalMs: 15_000, reconnectAfterInactivityMs: 40_000 } as const;

const t = initTRPC
  .context<RequestContext>()
  .meta<ProcedureMeta>()
  .create({
    isDev: false,
    sse: {
      ping: { enabled: true, intervalMs: subscriptionHeartbeat.pingIntervalMs },
      client: { reconnectAfterInactivityMs: subscriptionHeartbeat.reconnectAfterInactivityMs },
    },
    errorFormatter({ shape, error, ctx }) {
      const body = errorBodyOf(error);
      const caisson: ErrorBody =
        isDefect(error) && ctx !== undefined ? { ...body, details: { requestId: ctx.requestId } } : body;
      return { ...shape, message: caisson.message, data: { ...shape.data, caisson } };
    },
  });

export const router = t.router;

/**
 * For callers without a key. A mutation is answered when what it changed, and its record in the audit, outlive a power cut.
 */
export const publicProcedure = t.procedure.use(
  async (call) =>
    await overseen(call, { isStored: true }, async ({ services }) => await call.next({ ctx: { services } })),
);

/**
 * Knows its caller, and that it may do such a thing at all, before it looks at the input; `demand` is to be shown wherever
 * something is asked about.
 */
export const procedure = t.procedure.use(
  async (call) =>
    await overseen(call, { isStored: true }, async (ctx, onGranted) => {
      return await call.next({ ctx: await letIn(ctx, call, onGranted) });
    }),
);

/** The same for what happens in a sandbox: nothing is stored but the record of it, so no disk is waited for. */
export const sandboxProcedure = t.procedure.use(
  async (call) =>
    await overseen(call, { isStored: false }, async (ctx, onGranted) => {
      return await call.next({ ctx: await letIn(ctx, call, onGranted) });
    }),
);

/** A call, as tRPC hands it to what surrounds a procedure. */
interface Call {
  readonly ctx: RequestContext;
  readonly path: string;
  readonly type: TRPCProcedureType;
  readonly meta: ProcedureMeta | undefined;
  readonly getRawInput: () => Promise<unknown>;
}

interface Failure {
  readonly ok: false;
  readonly error: TRPCError;
}

type Outcome = { readonly ok: true; readonly data: unknown } | Failure;

/**
 * All that surrounds a procedure: measured, audited, and answered only where there is room for its result. Errors of the house leave it
 * with their own tRPC code. It is one middleware, since tRPC copies the call and its context anew for each.
 */
async function overseen<Result extends Outcome>(
  { ctx, path, type, meta, getRawInput }: Call,
  { isStored }: { readonly isStored: boolean },
  work: (ctx: ApiContext, onGranted: Demand['onGranted']) => Promise<Result>,
): Promise<Result> {
  if (!(ctx instanceof ApiContext)) throw new TypeError('The request has no context of the API.');
  const startedAt = performance.now();
  let outcome = 'ok';
  try {
    const call = { path, type, need: meta?.needs, getRawInput, isStored };
    const result = await auditedCall(ctx, call, async (onGranted): Promise<Result | Failure> => {
      try {
        return await work(ctx, onGranted);
      } catch (thrown) {
        return { ok: false, error: toTrpcError(thrown) };
      }
    });
    if (!result.ok) throw result.error;
    ctx.keepResult(result.data);
    return result;
  } catch (thrown) {
    const error = toTrpcError(thrown);
    outcome = errorBodyOf(error).code;
    throw error;
  } finally {
    const durationMs = performance.now() - startedAt;
    if (type !== 'subscription') ctx.services.observeCall({ procedure: path, outcome, durationMs });
  }
}

async function letIn(
  ctx: ApiContext,
  { meta, path, getRawInput }: Call,
  onGranted: Demand['onGranted'],
): Promise<{ readonly services: ApiServices; readonly principal: Principal; readonly demand: Demand }> {
  const { services } = ctx;
  const principal = await ctx.authenticate();
  if (meta?.needs === undefined) throw new CaissonError('INTERNAL', `${path} does not say what it needs.`);
  const demand: Demand = { principal, need: meta.needs, ...(onGranted && { onGranted }) };
  services.access.permit(demand);
  const input = await getRawInput();
  if (typeof input === 'object' && input !== null && 'agentId' in input) ctx.about(String(input.agentId));
  return { services, principal, demand };
}
