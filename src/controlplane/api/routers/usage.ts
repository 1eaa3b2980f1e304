import { z } from 'zod';
import { CaissonError } from '../../../kernel/errors.ts';
import { agentIdSchema, conversationIdSchema, runIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { refusalOf } from '../../auth/needs.ts';
import { daySchema, modelCallSchema, usageGroupSchema, usageTotalSchema } from '../schemas/model-usage.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { statementSchema } from '../schemas/quota.ts';
import { procedure, router } from '../trpc.ts';

const mostDays = 366;
const dayMs = 24 * 3_600_000;

export const usageRouter = router({
  /** What the caller may use, and has used. */
  me: procedure
    .meta({ needs: 'self' })
    .output(statementSchema)
    .query(async ({ ctx }) => await ctx.services.quotas.desk.statement(ctx.principal)),

  /**
   * What model calls took, summed up by day, user, agent or model: of the caller, and of everyone for administrators and
   * auditors, who may name a user. The calls that a harness makes unseen are in it. At most 10,000 rows: the latest days first, then those
   * that cost most.
   */
  totals: procedure
    .meta({ needs: 'self' })
    .input(
      z.strictObject({
        /** First and last day; at most 366 days. */
        from: daySchema,
        to: daySchema,
        groupBy: z.array(usageGroupSchema).max(4).default(['day']),
        userId: userIdSchema.optional(),
        agentId: agentIdSchema.optional(),
      }),
    )
    .output(z.object({ items: z.array(usageTotalSchema).readonly() }))
    .query(async ({ ctx, input: { from, to, groupBy, userId, agentId } }) => {
      const days = (Date.parse(to) - Date.parse(from)) / dayMs + 1;
      if (!(days >= 1 && days <= mostDays)) {
        throw new CaissonError('BAD_REQUEST', `From ${from} to ${to} are ${days} days; it must be 1 to ${mostDays}.`);
      }
      const { access, modelUsage } = ctx.services;
      const { principal } = ctx;
      const seesAll = refusalOf(principal, 'oversee') === undefined;
      if (!seesAll) {
        if (agentId !== undefined) await access.agent({ principal, need: 'view' }, agentId);
        else if (principal.agents !== null) {
          throw new CaissonError('FORBIDDEN', 'The API key is for named agents only: name one.');
        }
        if (userId !== undefined && userId !== principal.userId) {
          throw new CaissonError('FORBIDDEN', 'Only administrators and auditors see the usage of others.');
        }
      }
      const items = await modelUsage.totals({
        from,
        to,
        groupBy: [...new Set(groupBy)],
        userId: seesAll ? (userId ?? null) : principal.userId,
        agentId: agentId ?? null,
      });
      return { items };
    }),

  /** The model calls of an agent, the newest first, or only those of a conversation or a run. */
  calls: procedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        conversationId: conversationIdSchema.optional(),
        runId: runIdSchema.optional(),
        ...pageFields,
      }),
    )
    .output(pageSchema(modelCallSchema))
    .query(async ({ ctx, input: { agentId, conversationId, runId, ...page } }) => {
      await ctx.services.access.agent(ctx.demand, agentId);
      const filter = { agentId, conversationId: conversationId ?? null, runId: runId ?? null };
      return await ctx.services.modelUsage.listCalls(filter, page);
    }),
});
