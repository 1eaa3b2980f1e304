import { tracked, type TrackedEnvelope } from '@trpc/server';
import { z } from 'zod';
import { type AgentEvent, eventSchema } from '../../../agents/event.ts';
import { agentIdSchema } from '../../../kernel/ids.ts';
import { procedure, router } from '../trpc.ts';

const after = z.int().min(0);

export const eventsRouter = router({
  /**
   * Every event after `after`, first the stored ones, then the live ones, without gap or repeat, until the caller leaves.
   * The id of each is its `seq`; a client that reconnects sends the last one as `lastEventId`, which comes before `after`.
   * Events are not validated a second time on their way out: they were when they were stored.
   */
  subscribe: procedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        after: after.default(0),
        lastEventId: z
          .string()
          .regex(/^\d{1,15}$/, 'must be the `seq` of an event')
          .nullish(),
      }),
    )
    .subscription(async function* ({ ctx, input, signal }): AsyncGenerator<TrackedEnvelope<AgentEvent>, void> {
      const { domain, access, subscriptions } = ctx.services;
      using place = subscriptions.enter(ctx.principal, signal);
      place.about(input.agentId);
      await access.agent(ctx.demand, input.agentId);
      const batches = domain.events.subscribe({
        agentId: input.agentId,
        after: input.lastEventId == null ? input.after : Number(input.lastEventId),
        signal: place.signal,
      });
      for await (const batch of batches) {
        for (const event of batch) yield tracked(String(event.seq), event);
        place.signal.throwIfAborted();
      }
      place.signal.throwIfAborted();
    }),

  /**
   * A page of stored events after a `seq`, in order: fewer than `limit` where they are large. An empty one means that there
   * is nothing newer.
   */
  read: procedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        after: after.default(0),
        limit: z.int().min(1).max(1_000).default(500),
      }),
    )
    .output(z.object({ events: z.array(eventSchema).readonly() }))
    .query(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      await access.agent(ctx.demand, input.agentId);
      return { events: await domain.events.read(input) };
    }),
});
