import { initTRPC } from '@trpc/server';
import type { ErrorBody } from '../../kernel/errors.ts';
import type { Principal } from '../auth/identity.ts';
import { errorBodyOf, isDefect, toTrpcError } from './error-mapping.ts';
import type { ApiServices } from './services.ts';

/** What every procedure gets. The caller is known only after `authenticate`. */
export interface ApiContext {
  readonly services: ApiServices;
  /** Named in the log lines of this request, and told to the caller with an INTERNAL error. */
  readonly requestId: string;
  /** Asks once for all calls of a batch. */
  readonly authenticate: () => Promise<Principal>;
}

/** How clients find a dead subscription: a ping at least this often, and how long they wait for one. */
export const subscriptionHeartbeat = { pingIntervalMs: 15_000, reconnectAfterInactivityMs: 40_000 } as const;

const t = initTRPC.context<ApiContext>().create({
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

/** For callers without a key. Errors of the house leave it with their own tRPC code. */
export const publicProcedure = t.procedure.use(async ({ next }) => {
  const result = await next();
  return result.ok ? result : { ...result, error: toTrpcError(result.error) };
});

/** Knows its caller before it looks at the input. A mutation is answered when what it changed outlives a power cut. */
export const procedure = publicProcedure.use(async ({ ctx, type, next }) => {
  const principal = await ctx.authenticate();
  const result = await next({ ctx: { principal } });
  if (type === 'mutation' && result.ok) await ctx.services.flushed();
  return result;
});
