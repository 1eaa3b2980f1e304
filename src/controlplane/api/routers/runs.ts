import { z } from 'zod';
import { whenBusyChoices } from '../../../agents/run.ts';
import { agentIdSchema, conversationIdSchema, runIdSchema } from '../../../kernel/ids.ts';
import { idempotencyKeySchema, messageInputSchema, runTimeoutSchema } from '../schemas/message-input.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { acceptedRunSchema, runSchema, waitOutcomeSchema } from '../schemas/run.ts';
import { procedure, router } from '../trpc.ts';
import { waitForRun } from '../wait-for-run.ts';

const byId = z.strictObject({ runId: runIdSchema });

export const runsRouter = router({
  /**
   * Stores the message and the run, and answers. From then on the run ends in exactly one terminal state. `timeoutMs` can
   * be at most the operator's `CAISSON_RUN_TIMEOUT`, which is also its default.
   */
  start: procedure
    .meta({ needs: 'use' })
    .input(
      z.strictObject({
        conversationId: conversationIdSchema,
        message: messageInputSchema,
        idempotencyKey: idempotencyKeySchema.optional(),
        timeoutMs: runTimeoutSchema.optional(),
        /**
         * Where the sandbox does not run, and the owner's quotas have no room for one more: `fail` refuses with
         * QUOTA_EXCEEDED; `queue` lets the run wait, fairly, until there is. A budget that is spent refuses in either case.
         */
        whenBusy: z.enum(whenBusyChoices).default('fail'),
      }),
    )
    .output(acceptedRunSchema)
    .mutation(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      await access.conversation(ctx.demand, input.conversationId);
      const { message, ...request } = input;
      return await domain.runs.start({ ...request, content: message, principalId: ctx.principal.userId });
    }),

  /** Waits for the end of the run. A time-out ends the wait, never the run; 0 looks once. */
  wait: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ runId: runIdSchema, timeoutMs: z.int().min(0).max(600_000).default(30_000) }))
    .output(waitOutcomeSchema)
    .query(async ({ ctx, input, signal }) => {
      const { access } = ctx.services;
      await access.run(ctx.demand, input.runId);
      const outcome = await waitForRun(ctx.services, { ...input, signal });
      await access.run(ctx.demand, input.runId); // what the caller may see can have changed meanwhile
      return outcome;
    }),

  /** A run as it is now. */
  get: procedure
    .meta({ needs: 'view' })
    .input(byId)
    .output(runSchema)
    .query(async ({ ctx, input }) => await ctx.services.access.run(ctx.demand, input.runId)),

  /** Of one agent, or of one of its conversations, newest first. */
  list: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema, conversationId: conversationIdSchema.optional(), ...pageFields }))
    .output(pageSchema(runSchema))
    .query(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      const { agentId, conversationId, ...page } = input;
      if (conversationId === undefined) await access.agent(ctx.demand, agentId);
      else await access.conversationOf(ctx.demand, agentId, conversationId);
      return await domain.runs.list(agentId, conversationId ?? null, page);
    }),

  /**
   * A queued run ends at once; one that is under way is asked to stop, and killed when it does not. With it end its
   * model request and the commands of the harness. A command that detached itself (`setsid nohup … &`) goes on until it ends
   * or the sandbox stops.
   */
  cancel: procedure
    .meta({ needs: 'use' })
    .input(byId)
    .output(runSchema)
    .mutation(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      await access.run(ctx.demand, input.runId);
      return await domain.runs.cancel(input.runId, ctx.principal.userId);
    }),
});
