import { z } from 'zod';
import { agentIdSchema, conversationIdSchema } from '../../../kernel/ids.ts';
import { choiceInputFields, conversationSchema } from '../schemas/conversation.ts';
import { displayNameSchema } from '../schemas/display-name.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { procedure, router } from '../trpc.ts';

const byId = z.strictObject({ conversationId: conversationIdSchema });

export const conversationsRouter = router({
  /** A new conversation. Where the sandbox runs, the harness opens its session ahead of the first message. */
  open: procedure
    .meta({ needs: 'use' })
    .input(z.strictObject({ agentId: agentIdSchema, title: displayNameSchema.optional(), ...choiceInputFields }))
    .output(conversationSchema)
    .mutation(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      await access.agent(ctx.demand, input.agentId);
      return await domain.conversations.open(input);
    }),

  /** Of one agent, open and closed, newest first. */
  list: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema, ...pageFields }))
    .output(pageSchema(conversationSchema))
    .query(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      const { agentId, ...page } = input;
      await access.agent(ctx.demand, agentId);
      return await domain.conversations.list(agentId, page);
    }),

  /** One conversation, open or closed. */
  get: procedure
    .meta({ needs: 'view' })
    .input(byId)
    .output(conversationSchema)
    .query(async ({ ctx, input }) => await ctx.services.access.conversation(ctx.demand, input.conversationId)),

  /**
   * Chooses the model and the mode from the next turn on; what is left out stays. A turn whose harness lacks them fails
   * with `harness_error`, before it asks a model, and says which there are.
   */
  configure: procedure
    .meta({ needs: 'use' })
    .input(
      z
        .strictObject({ conversationId: conversationIdSchema, ...choiceInputFields })
        .refine(({ model, mode }) => model !== undefined || mode !== undefined, 'must name a model or a mode'),
    )
    .output(conversationSchema)
    .mutation(async ({ ctx, input: { conversationId, ...choices } }) => {
      const { domain, access } = ctx.services;
      await access.conversation(ctx.demand, conversationId);
      return await domain.conversations.configure(conversationId, choices);
    }),

  /** Cancels what is queued or under way in it; what was said stays readable. Closing twice is no error. */
  close: procedure
    .meta({ needs: 'use' })
    .input(byId)
    .output(conversationSchema)
    .mutation(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      await access.conversation(ctx.demand, input.conversationId);
      return await domain.conversations.close(input.conversationId, ctx.principal.userId);
    }),
});
