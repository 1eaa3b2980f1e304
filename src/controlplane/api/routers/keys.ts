import { z } from 'zod';
import { keyIdSchema } from '../../../kernel/ids.ts';
import type { KeyWithUser } from '../../auth/key-service.ts';
import { displayNameSchema } from '../schemas/display-name.ts';
import { keySchema, roleSchema } from '../schemas/key.ts';
import { procedure, router } from '../trpc.ts';

export const keysRouter = router({
  /** For administrators. Makes the user as well when there is none of that name; otherwise its role must be the same. */
  create: procedure
    .input(z.strictObject({ user: displayNameSchema, role: roleSchema.default('member'), name: displayNameSchema }))
    .output(z.object({ key: keySchema, secret: z.string() }))
    .mutation(async ({ ctx, input }) => {
      const made = await ctx.services.keys.create(ctx.principal, input);
      return { key: keyView(made), secret: made.secret };
    }),

  /** Everyone's for administrators, otherwise the caller's own; newest first; at most 1,000. */
  list: procedure
    .output(z.object({ items: z.array(keySchema).readonly() }))
    .query(async ({ ctx }) => ({ items: (await ctx.services.keys.list(ctx.principal)).map(keyView) })),

  /** At once, and with it end the subscriptions that the key opened. Revoking twice is no error. */
  revoke: procedure
    .input(z.strictObject({ keyId: keyIdSchema }))
    .output(keySchema)
    .mutation(async ({ ctx, input }) => keyView(await ctx.services.keys.revoke(ctx.principal, input.keyId))),
});

function keyView({ key, user }: KeyWithUser): z.input<typeof keySchema> {
  const { userId: _, ...fields } = key;
  return { ...fields, user: { id: user.id, name: user.name, role: user.role } };
}
