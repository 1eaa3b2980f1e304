import { initTRPC } from '@trpc/server';
import { CaissonError, type ErrorBody } from '../../kernel/errors.ts';
import type { Demand } from '../auth/access.ts';
import { ApiContext } from './api-context.ts';
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
  const { services, keepResult, about } = ctx;
  const result = await next({ ctx: { services, keepResult, about, authenticate: () => ctx.authenticate() } });
  const answer = result.ok ? result : { ...result, error: toTrpcError(result.error) };
  if (type !== 'subscription') {
    const outcome = answer.ok ? 'ok' : errorBodyOf(answer.error).code;
    ctx.services.observeCall({ procedure: path, outcome, durationMs: performance.now() - startedAt });
  }
  return answer;
});

/** For callers without a key. A result that there is no room for is answered with what says so. */
export const publicProcedure = observedProcedure.use(async ({ ctx, next }) => {
  const result = await next();
  if (result.ok) ctx.keepResult(result.data);
  return result;
});

/**
 * Knows its caller, and that it may do such a thing at all, before it looks at the input; `demand` is to be shown wherever
 * something is asked about. For what happens in a sandbox: nothing is stored, so no disk is waited for.
 */
export const sandboxProcedure = publicProcedure.use(async ({ ctx, meta, path, getRawInput, next }) => {
  const principal = await ctx.authenticate();
  if (meta === undefined) throw new CaissonError('INTERNAL', `${path} does not say what it needs.`);
  const demand: Demand = { principal, need: meta.needs };
  ctx.services.access.permit(demand);
  const input = await getRawInput();
  if (typeof input === 'object' && input !== null && 'agentId' in input) ctx.about(String(input.agentId));
  return await next({ ctx: { principal, demand } });
});

/** The same for what is stored: a mutation is answered when what it changed outlives a power cut. */
export const procedure = sandboxProcedure.use(async ({ ctx, type, next }) => {
  const result = await next();
  if (type === 'mutation' && result.ok) await ctx.services.flushed();
  return result;
});
