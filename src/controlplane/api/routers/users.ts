import { z } from 'zod';
import { userIdSchema } from '../../../kernel/ids.ts';
import type { Invited, KnownUser } from '../../auth/user-service.ts';
import type { WebOrigin } from '../../login/web-origin.ts';
import { emailSchema } from '../../login/email.ts';
import { displayNameSchema } from '../schemas/display-name.ts';
import { keySchema, roleSchema } from '../schemas/key.ts';
import { userSchema } from '../schemas/user.ts';
import { procedure, publicProcedure, router } from '../trpc.ts';
import { keyView } from '../views/key-view.ts';

const byId = z.strictObject({ userId: userIdSchema });
const dayMs = 86_400_000;

const invitationFields = {
  /** With which the user signs in. An identity provider that has verified the same one is believed. */
  email: emailSchema.optional(),
  /** Milliseconds. */
  expiresIn: z
    .int()
    .min(60_000)
    .max(30 * dayMs)
    .default(7 * dayMs),
};

const invitedSchema = z.object({
  user: userSchema,
  invitation: z.string(),
  expiresAt: z.int(),
  /** Where a browser accepts it; null where the user has no email to sign in with. */
  url: z.string().nullable(),
});

export const usersRouter = router({
  /** Everyone, the newest first; at most 1,000. */
  list: procedure
    .meta({ needs: 'oversee' })
    .output(z.object({ items: z.array(userSchema).readonly() }))
    .query(async ({ ctx }) => ({ items: (await ctx.services.users.list()).map(userView) })),

  /** By id or by name. */
  get: procedure
    .meta({ needs: 'oversee' })
    .input(z.union([byId, z.strictObject({ name: displayNameSchema })]))
    .output(userSchema)
    .query(async ({ ctx: { services }, input }) =>
      userView(await ('name' in input ? services.users.getByName(input.name) : services.users.get(input.userId))),
    ),

  /**
   * Makes a user, with an invitation that is accepted once, until it expires: by `users.accept` for a key, or where the user has an
   * email with a browser, at `url`. It is answered this once. Inviting again who has not accepted yet makes a new one, and voids the old.
   */
  invite: procedure
    .meta({ needs: 'appoint' })
    .input(
      z.strictObject({
        name: displayNameSchema,
        role: roleSchema.default('member'),
        ...invitationFields,
      }),
    )
    .output(invitedSchema)
    .mutation(async ({ ctx, input: { expiresIn, email = null, ...request } }) => {
      const { users, webOrigin } = ctx.services;
      return invitedView(await users.invite({ ...request, email, expiresInMs: expiresIn }), webOrigin);
    }),

  /**
   * Makes an invitation for a user that is there, to sign in with a browser for the first time or with a new password: that ends all
   * its sessions. `email` is needed where it has none, and else takes the place of that one.
   */
  resetLogin: procedure
    .meta({ needs: 'appoint' })
    .input(byId.extend(invitationFields))
    .output(invitedSchema)
    .mutation(async ({ ctx, input: { userId, expiresIn, email = null } }) => {
      const { users, webOrigin } = ctx.services;
      return invitedView(await users.resetLogin(userId, { email, expiresInMs: expiresIn }), webOrigin);
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
   * Ends all that a user has, at once: its keys, sessions and password (for good) with all that is open through them, its previews, the runs that it
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

  /** Lets a disabled user in again: by new keys, a new password (`resetLogin`), or its identity. Doing it twice is no error. */
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

/** The secret comes behind the `#`, where no server and no proxy sees it. */
function invitedView(invited: Invited, webOrigin: WebOrigin): z.input<typeof invitedSchema> {
  const { invitation, expiresAt, email } = invited;
  const url = email === null ? null : `${webOrigin.usual}/invitation#${invitation}`;
  return { user: userView(invited), invitation, expiresAt, url };
}

function userView({ user, state, email }: KnownUser): z.input<typeof userSchema> {
  return { ...user, state, email };
}
