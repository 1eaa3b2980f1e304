import { statementSchema } from '../schemas/quota.ts';
import { procedure, router } from '../trpc.ts';

export const usageRouter = router({
  /** What the caller may use, and has used. */
  me: procedure
    .meta({ needs: 'self' })
    .output(statementSchema)
    .query(async ({ ctx }) => await ctx.services.quotas.desk.statement(ctx.principal)),
});
