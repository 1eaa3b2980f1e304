import { z } from 'zod';
import { userIdSchema } from '../../../kernel/ids.ts';
import { roleSchema } from '../schemas/key.ts';
import { procedure, publicProcedure, router } from '../trpc.ts';

export const systemRouter = router({
  /** Whether the control plane answers. The only procedure that needs no key. */
  health: publicProcedure
    .meta({ needs: 'nothing' })
    .output(z.object({ status: z.literal('ok') }))
    .query(() => ({ status: 'ok' as const })),

  /** What this control plane is, and who the caller is to it. */
  version: procedure
    .meta({ needs: 'self' })
    .output(
      z.object({
        version: z.string(),
        provider: z.string(),
        harnesses: z.array(z.string()).readonly(),
        /** `demo`: no model service is configured, and a script answers instead. */
        model: z.object({ name: z.string(), demo: z.boolean() }),
        sandboxLimits: z.object({
          cpus: z.number(),
          memoryBytes: z.int(),
          pids: z.int(),
          /** Of workspace and home together. Null: no limit. */
          diskBytes: z.int().nullish(),
        }),
        principal: z.object({ userId: userIdSchema, userName: z.string(), role: roleSchema }),
      }),
    )
    .query(({ ctx }) => {
      const { about, sandboxLimits } = ctx.services;
      const { userId, userName, role } = ctx.principal;
      return { ...about, sandboxLimits, principal: { userId, userName, role } };
    }),

  /**
   * How many of the agents that the caller may see have a sandbox that runs, is stopped, or whose start has failed.
   * `unattached` ones should be running and cannot be reached: they are being looked for.
   */
  sandboxes: procedure
    .meta({ needs: 'list' })
    .output(
      z.object({
        starting: z.int(),
        running: z.int(),
        unattached: z.int(),
        stopped: z.int(),
        failed: z.int(),
      }),
    )
    .query(async ({ ctx }) => {
      const { domain, access } = ctx.services;
      return await domain.agents.sandboxTally(access.visible(ctx.demand));
    }),
});
