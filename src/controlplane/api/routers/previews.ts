import { z } from 'zod';
import { agentIdSchema, previewIdSchema } from '../../../kernel/ids.ts';
import { portSchema } from '../../../wire/contract/ports.ts';
import { type Preview, previewState } from '../../previews/preview.ts';
import { previewAccessSchema, previewSchema } from '../schemas/preview.ts';
import type { ApiServices } from '../services.ts';
import { procedure, router } from '../trpc.ts';

const byId = z.strictObject({ previewId: previewIdSchema });

export const previewsRouter = router({
  /**
   * Makes a link to a port of the agent's sandbox, whether or not something listens there yet. `url` holds the link's secret
   * and is answered this once. Whoever opens it gets a cookie of that origin, which lasts until the preview ends: at its
   * time, when it is revoked, or with the agent or the API key that made it.
   */
  create: procedure
    .meta({ needs: 'use' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        port: portSchema,
        /** Milliseconds; at most the operator's CAISSON_PREVIEW_MAX_TTL. Default: 1 h. */
        expiresIn: z.int().min(1_000).optional(),
        access: previewAccessSchema.default('owner'),
      }),
    )
    .output(previewSchema.extend({ url: z.string() }))
    .mutation(async ({ ctx, input: { expiresIn, ...request } }) => {
      const made = await ctx.services.previews.create(ctx.demand, { ...request, expiresInMs: expiresIn });
      return { ...previewView(ctx.services, made.preview), url: made.url };
    }),

  /** Of an agent, the newest first: all that can be used, and the latest of those that are over; at most 100. */
  list: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema }))
    .output(z.object({ items: z.array(previewSchema).readonly() }))
    .query(async ({ ctx, input }) => {
      const previews = await ctx.services.previews.list(ctx.demand, input.agentId);
      return { items: previews.map((preview) => previewView(ctx.services, preview)) };
    }),

  /** Whether it can be used, until when, and whether its link was opened. */
  get: procedure
    .meta({ needs: 'view' })
    .input(byId)
    .output(previewSchema)
    .query(async ({ ctx, input }) =>
      previewView(ctx.services, await ctx.services.previews.get(ctx.demand, input.previewId)),
    ),

  /** At once, with everything that is open through it. Revoking twice is no error. */
  revoke: procedure
    .meta({ needs: 'use' })
    .input(byId)
    .output(previewSchema)
    .mutation(async ({ ctx, input }) =>
      previewView(ctx.services, await ctx.services.previews.revoke(ctx.demand, input.previewId)),
    ),
});

function previewView({ previewHosts }: ApiServices, preview: Preview): z.input<typeof previewSchema> {
  return { ...preview, origin: previewHosts.originOf(preview), state: previewState(preview, Date.now()) };
}
