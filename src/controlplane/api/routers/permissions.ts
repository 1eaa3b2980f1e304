import { z } from 'zod';
import { agentIdSchema, permissionIdSchema } from '../../../kernel/ids.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { permissionSchema } from '../schemas/permission.ts';
import { procedure, router } from '../trpc.ts';

export const permissionsRouter = router({
  /** What waits for an answer, oldest first: of one agent, or of all that the caller may see. */
  list: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema.optional(), ...pageFields }).prefault({}))
    .output(pageSchema(permissionSchema))
    .query(async ({ ctx, input: { agentId, ...page } }) => {
      const { domain, access } = ctx.services;
      if (agentId === undefined) {
        return await domain.permissions.list(access.visible(ctx.demand), page);
      }
      await access.agent(ctx.demand, agentId);
      return await domain.permissions.list({ agentId }, page);
    }),

  /** Answers with one of the request's options, or refuses with null. The first answer counts. */
  respond: procedure
    .meta({ needs: 'use' })
    .input(z.strictObject({ permissionId: permissionIdSchema, optionId: z.string().min(1).max(500).nullable() }))
    .output(z.object({ permissionId: permissionIdSchema }))
    .mutation(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      await access.permission(ctx.demand, input.permissionId);
      await domain.permissions.respond({ ...input, by: ctx.principal.userId });
      return { permissionId: input.permissionId };
    }),
});
