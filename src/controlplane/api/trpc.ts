import { initTRPC } from '@trpc/server';
import { CaissonError, type ErrorBody } from '../../kernel/errors.ts';
import type { Demand } from '../auth/access.ts';
import type { Principal } from '../auth/identity.ts';
import type { Need } from '../auth/needs.ts';
import { ApiContext } from './api-context.ts';
import { auditedCall } from './audited-call.ts';
import { errorBodyOf, isDefect, toTrpcError } from './error-mapping.ts';
import type { ProcedureMeta } from './procedure-meta.ts';
import type { RequestContext } from './request-context.ts';

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

/** Errors of the house leave it with their own tRPC code. */
const observedProcedure = t.procedure.use(async ({ ctx, path, type, next }) => {
  if (!(ctx instanceof ApiContext)) throw new TypeError('The request has no context of the API.');
  const startedAt = performance.now();
  const { requestId, address, services, keepResult, about, identify } = ctx;
  const known = { requestId, address, services, keepResult, about, identify, authenticate: () => ctx.authenticate() };
  const result = await next({ ctx: known });
  const answer = result.ok ? result : { ...result, error: toTrpcError(result.error) };
  if (type !== 'subscription') {
    const outcome = answer.ok ? 'ok' : errorBodyOf(answer.error).code;
    ctx.services.observeCall({ procedure: path, outcome, durationMs: performance.now() - startedAt });
  }
  return answer;
});

/** A result that there is no room for is answered with what says so. */
const answeredProcedure = observedProcedure.use(async ({ ctx, next }) => {
  const result = await next();
  if (result.ok) ctx.keepResult(result.data);
  return result;
});

/**
 * For callers without a key. A mutation is answered when what it changed, and its record in the audit, outlive a power cut.
 */
export const publicProcedure = answeredProcedure.use(async ({ ctx, path, type, meta, getRawInput, next }) => {
  const call = { path, type, need: meta?.needs, getRawInput, isStored: true };
  return await auditedCall(ctx, call, (onGranted) => next({ ctx: { onGranted } }));
});

/**
 * Knows its caller, and that it may do such a thing at all, before it looks at the input; `demand` is to be shown wherever
 * something is asked about.
 */
export const procedure = publicProcedure.use(async ({ ctx, meta, path, getRawInput, next }) => {
  return await next({ ctx: await letIn(ctx, { needs: meta?.needs, path, getRawInput }) });
});

/** The same for what happens in a sandbox: nothing is stored but the record of it, so no disk is waited for. */
export const sandboxProcedure = answeredProcedure
  .use(async ({ ctx, path, type, meta, getRawInput, next }) => {
    const call = { path, type, need: meta?.needs, getRawInput, isStored: false };
    return await auditedCall(ctx, call, (onGranted) => next({ ctx: { onGranted } }));
  })
  .use(async ({ ctx, meta, path, getRawInput, next }) => {
    return await next({ ctx: await letIn(ctx, { needs: meta?.needs, path, getRawInput }) });
  });

interface Entering {
  readonly needs: Need | undefined;
  readonly path: string;
  readonly getRawInput: () => Promise<unknown>;
}

async function letIn(
  {
    authenticate,
    services,
    about,
    onGranted,
  }: Pick<ApiContext, 'authenticate' | 'services' | 'about'> & {
    readonly onGranted: Demand['onGranted'];
  },
  { needs, path, getRawInput }: Entering,
): Promise<{ readonly principal: Principal; readonly demand: Demand }> {
  const principal = await authenticate();
  if (needs === undefined) throw new CaissonError('INTERNAL', `${path} does not say what it needs.`);
  const demand: Demand = { principal, need: needs, ...(onGranted && { onGranted }) };
  services.access.permit(demand);
  const input = await getRawInput();
  if (typeof input === 'object' && input !== null && 'agentId' in input) about(String(input.agentId));
  return { principal, demand };
}
