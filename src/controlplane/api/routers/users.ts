import { z } from 'zod';
import { userIdSchema } from '../../../kernel/ids.ts';
import type { KnownUser } from '../../auth/user-service.ts';
import { displayNameSchema } from '../schemas/display-name.ts';
import { keySchema, roleSchema } from '../schemas/key.ts';
import { userSchema } from '../schemas/user.ts';
import { procedure, publicProcedure, router } from '../trpc.ts';
import { keyView } from '../views/key-view.ts';

const byId = z.strictObject({ userId: userIdSchema });
const dayMs = 86_400_000;

export const usersRouter = router({
  /** Everyone, the newest first; at most 1,000. */
  list: procedure
    .meta({ needs: 'oversee' })
    .output(z.object({ items: z.array(userSchema).readonly() }))
    .query(async ({ ctx }) => ({ items: (await ctx.services.users.list()).map(userView) })),

  /** One user. */
  get: procedure
    .meta({ needs: 'oversee' })
    .input(byId)
    .output(userSchema)
    .query(async ({ ctx, input }) => userView(await ctx.services.users.get(input.userId))),

  /**
   * Makes a user, with an invitation that `users.accept` exchanges for a key, once, until it expires. It is answered this
   * once. Inviting again who has not accepted yet makes a new one, and voids the old.
   */
  invite: procedure
    .meta({ needs: 'appoint' })
    .input(
      z.strictObject({
        name: displayNameSchema,
        role: roleSchema.default('member'),
        /** Milliseconds. */
        expiresIn: z
          .int()
          .min(60_000)
          .max(30 * dayMs)
          .default(7 * dayMs),
      }),
    )
    .output(z.object({ user: userSchema, invitation: z.string(), expiresAt: z.int() }))
    .mutation(async ({ ctx, input: { expiresIn, ...request } }) => {
      const invited = await ctx.services.users.invite({ ...request, expiresInMs: expiresIn });
      return { user: userView(invited), invitation: invited.invitation, expiresAt: invited.expiresAt };
    }),

  /** Exchanges an invitation for the first key of its user. INVITATION_INVALID for one that was used, or has expired. */
  accept: publicProcedure
    .meta({ needs: 'nothing' })
    .input(
      z.strictObject({
        invitation: z.string().min(1).max(100),
        /** Of the key. */
        name: displayNameSchema.default('default'),
      }),
    )
    .output(z.object({ key: keySchema, secret: z.string() }))
    .mutation(async ({ ctx, input }) => {
      const made = await ctx.services.users.accept({ invitation: input.invitation, keyName: input.name });
      return { key: keyView(made), secret: made.secret };
    }),

  /**
   * Ends all that a user has, at once: its keys (for good) with all that is open through them, its previews, the runs that it
   * started, and the runs, processes and terminals of its agents, whose sandboxes are stopped. The agents and their files stay;
   * those whom they are shared with can look at them, and no more. The last administrator stays: LAST_ADMIN_KEY.
   */
  disable: procedure
    .meta({ needs: 'administer' })
    .input(byId)
    .output(z.object({ user: userSchema, ended: z.object({ keys: z.int(), runs: z.int(), sandboxes: z.int() }) }))
    .mutation(async ({ ctx, input }) => {
      const disabled = await ctx.services.users.disable(input.userId, ctx.principal.userId);
      return { user: userView(disabled), ended: disabled.ended };
    }),

  /** Lets a disabled user in again, by new keys. Doing it twice is no error. */
  enable: procedure
    .meta({ needs: 'administer' })
    .input(byId)
    .output(userSchema)
    .mutation(async ({ ctx, input }) => userView(await ctx.services.users.enable(input.userId))),

  /**
   * Disables a user, then deletes it with its keys and shares; `agents: 'delete'` deletes its agents too. USER_HAS_AGENTS
   * where it owns some and this is not said: it is disabled then. What it said to agents of others stays.
   */
  delete: procedure
    .meta({ needs: 'administer' })
    .input(byId.extend({ agents: z.enum(['keep', 'delete']).default('keep') }))
    .output(z.object({ userId: userIdSchema, deletedAgents: z.int() }))
    .mutation(async ({ ctx, input: { userId, agents } }) => {
      const deleted = await ctx.services.users.delete(userId, ctx.principal.userId, agents === 'delete');
      return { userId, deletedAgents: deleted.agents };
    }),
});

function userView({ user, state }: KnownUser): z.input<typeof userSchema> {
  return { ...user, state };
}
