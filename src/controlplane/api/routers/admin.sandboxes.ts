import { z } from 'zod';
import { agentIdSchema } from '../../../kernel/ids.ts';
import { knownSandboxSchema } from '../schemas/admin.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { procedure, router } from '../trpc.ts';

const byId = z.strictObject({ agentId: agentIdSchema });
const doneSchema = z.object({ agentId: agentIdSchema, existed: z.boolean() });

export const adminSandboxesRouter = router({
  /**
   * The sandboxes of everyone as the provider has them, those of the newest agents first, with whose they are; one without an
   * agent is an orphan. With `load` also what those that run take at the moment, which takes a second or two.
   */
  list: procedure
    .meta({ needs: 'oversee' })
    .input(
      z
        .strictObject({
          ...pageFields,
          onlyRunning: z.boolean().default(false),
          load: z.boolean().default(false),
        })
        .prefault({}),
    )
    .output(pageSchema(knownSandboxSchema))
    .query(async ({ ctx, input: { onlyRunning, load, ...page }, signal }) => {
      return await ctx.services.admin.sandboxes.list(page, { onlyRunning, isLoaded: load }, signal);
    }),

  /** Ends what runs in a sandbox, whoever's; its files stay, and it is started again when it is needed. */
  stop: procedure
    .meta({ needs: 'administer' })
    .input(byId)
    .output(doneSchema)
    .mutation(async ({ ctx: { principal, services }, input: { agentId } }) => ({
      agentId,
      existed: await services.admin.sandboxes.stop(agentId, principal.userName),
    })),

  /**
   * Removes a sandbox with its workspace and home. Its agent stays, with all that was said, and gets a new and empty one when it
   * is needed. To remove the agent as well: `agents.delete`.
   */
  destroy: procedure
    .meta({ needs: 'administer' })
    .input(byId)
    .output(doneSchema)
    .mutation(async ({ ctx: { principal, services }, input: { agentId } }) => ({
      agentId,
      existed: await services.admin.sandboxes.destroy(agentId, principal.userName),
    })),
});
