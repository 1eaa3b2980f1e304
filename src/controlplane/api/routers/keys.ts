import { z } from 'zod';
import { keyIdSchema } from '../../../kernel/ids.ts';
import { displayNameSchema } from '../schemas/display-name.ts';
import { keyLimitFields, keySchema, roleSchema } from '../schemas/key.ts';
import { procedure, router } from '../trpc.ts';
import { keyView } from '../views/key-view.ts';

/** Ten years. */
const longestLifeMs = 3_650 * 86_400_000;

export const keysRouter = router({
  /**
   * For administrators. Makes the user as well when there is none of that name; otherwise its role must be the same. With
   * `newUser: false` the user must be there, and the role may be left out. The key may be narrowed to scopes and to named
   * agents, and may expire. A key that was made here makes no keys: that takes the one in the data directory.
   */
  create: procedure
    .meta({ needs: 'appoint' })
    .input(
      z.strictObject({
        user: displayNameSchema,
        /** Default: `member`; with `newUser: false` that of the user. */
        role: roleSchema.optional(),
        /** Whether the user is made where there is none of that name; else that is USER_NOT_FOUND. */
        newUser: z.boolean().default(true),
        name: displayNameSchema,
        scopes: keyLimitFields.scopes.optional(),
        agents: keyLimitFields.agents.optional(),
        /** Milliseconds. Default: it does not expire. */
        expiresIn: z.int().min(1_000).max(longestLifeMs).nullish(),
      }),
    )
    .output(z.object({ key: keySchema, secret: z.string() }))
    .mutation(async ({ ctx, input: { expiresIn, scopes, agents, ...request } }) => {
      const { keys, access } = ctx.services;
      for (const id of agents ?? []) await access.agent({ principal: ctx.principal, need: 'view' }, id);
      const made = await keys.issue({
        ...request,
        scopes: scopes ?? null,
        agents: agents ?? null,
        expiresAt: expiresIn == null ? null : Date.now() + expiresIn,
      });
      return { key: keyView(made), secret: made.secret };
    }),

  /** Everyone's for administrators and auditors, otherwise the caller's own; of a narrowed key itself. Newest first; at most 1,000. */
  list: procedure
    .meta({ needs: 'self' })
    .output(z.object({ items: z.array(keySchema).readonly() }))
    .query(async ({ ctx }) => ({ items: (await ctx.services.keys.list(ctx.principal)).map(keyView) })),

  /**
   * At once, and with it end all that the key has open. Administrators revoke anyone's, others their own; a narrowed key only
   * itself. Revoking twice is no error.
   */
  revoke: procedure
    .meta({ needs: 'self' })
    .input(z.strictObject({ keyId: keyIdSchema }))
    .output(keySchema)
    .mutation(async ({ ctx, input }) => keyView(await ctx.services.keys.revoke(ctx.principal, input.keyId))),
});
