import { z } from 'zod';
import {
  limitsChangeSchema,
  planNameSchema,
  planSchema,
  quotaHolderSchema,
  statementSchema,
  timeZoneSchema,
  versionSchema,
} from '../schemas/quota.ts';
import { procedure, router } from '../trpc.ts';

export const quotasRouter = router({
  /**
   * What somebody may use, and has used: the caller without `of`. Everyone sees what they may view of agents and
   * conversations; administrators and auditors see everyone.
   */
  get: procedure
    .meta({ needs: 'self' })
    .input(z.strictObject({ of: quotaHolderSchema.optional() }).prefault({}))
    .output(statementSchema)
    .query(async ({ ctx, input }) => await ctx.services.quotas.desk.statement(ctx.principal, input.of)),

  /**
   * Changes what somebody may use, at once. `version` is that of the statement that was changed: where somebody else has
   * changed it meanwhile, it is refused with QUOTA_CONFLICT. Users, for administrators: any quota, a plan, and the time
   * zone whose days count, from the next day on. Agents and conversations, for who owns the agent: a budget of what is metered.
   */
  set: procedure
    .meta({ needs: 'self' })
    .input(
      z.strictObject({
        of: quotaHolderSchema,
        version: versionSchema,
        limits: limitsChangeSchema.optional(),
        /** Null: the plan called `default`. */
        plan: planNameSchema.nullable().optional(),
        /** Null: UTC. */
        timeZone: timeZoneSchema.nullable().optional(),
      }),
    )
    .output(statementSchema)
    .mutation(async ({ ctx, input: { of, ...change } }) => {
      return await ctx.services.quotas.desk.change(ctx.principal, of, change);
    }),

  /** For administrators and auditors. By name; at most 1,000. */
  plans: procedure
    .meta({ needs: 'oversee' })
    .output(z.object({ items: z.array(planSchema).readonly() }))
    .query(async ({ ctx }) => ({ items: await ctx.services.quotas.desk.plans() })),

  /**
   * For administrators. Makes a plan (version 0), or changes it for all who have it, at once. The one called `default` is that
   * of all users without a plan. What a plan does not name is the configuration's (CAISSON_QUOTAS).
   */
  setPlan: procedure
    .meta({ needs: 'administer' })
    .input(z.strictObject({ name: planNameSchema, version: versionSchema, limits: limitsChangeSchema }))
    .output(planSchema)
    .mutation(async ({ ctx, input: { name, ...change } }) => {
      return await ctx.services.quotas.desk.changePlan(name, change);
    }),

  /** For administrators. A plan that users have stays. */
  removePlan: procedure
    .meta({ needs: 'administer' })
    .input(z.strictObject({ name: planNameSchema, version: versionSchema }))
    .output(z.object({ name: planNameSchema }))
    .mutation(async ({ ctx, input: { name, version } }) => {
      await ctx.services.quotas.desk.removePlan(name, version);
      return { name };
    }),
});
