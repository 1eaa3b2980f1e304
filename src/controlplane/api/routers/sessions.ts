import { z } from 'zod';
import { keyIdSchema } from '../../../kernel/ids.ts';
import { sessionSchema } from '../schemas/session.ts';
import { procedure, router } from '../trpc.ts';
import { sessionView } from '../views/session-view.ts';

export const sessionsRouter = router({
  /** The browsers that are signed in as the caller, newest first; at most 50. None for a narrowed key. */
  list: procedure
    .meta({ needs: 'self' })
    .output(z.object({ items: z.array(sessionSchema).readonly() }))
    .query(async ({ ctx }) => {
      const { principal, services } = ctx;
      return { items: (await services.sessions.list(principal)).map((session) => sessionView(session, principal)) };
    }),

  /** Signs out one of the caller's own browsers: what it has open ends at once. KEY_NOT_FOUND for any other. */
  revoke: procedure
    .meta({ needs: 'self' })
    .input(z.strictObject({ sessionId: keyIdSchema }))
    .output(z.object({ sessionId: keyIdSchema }))
    .mutation(async ({ ctx, input }) => {
      await ctx.services.sessions.revoke(ctx.principal, input.sessionId);
      return input;
    }),

  /** Signs out all of the caller's own browsers, also the one that calls. API keys stay. A narrowed key signs out none. */
  revokeAll: procedure
    .meta({ needs: 'self' })
    .output(z.object({ ended: z.int() }))
    .mutation(async ({ ctx }) => ({ ended: await ctx.services.sessions.signOutEverywhere(ctx.principal) })),
});
