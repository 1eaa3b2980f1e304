import { z } from 'zod';
import { agentIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { auditRecordSchema, chainHeadSchema, verificationSchema } from '../schemas/audit.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { procedure, router } from '../trpc.ts';

export const auditRouter = router({
  /**
   * Who did what, the newest first: every mutation, upload, WebSocket and command, and what was refused. All that is named must
   * match; `since` is inclusive, `until` exclusive. A page may have fewer items than its limit, or none, and yet a
   * `nextCursor`: read on.
   */
  search: procedure
    .meta({ needs: 'oversee' })
    .input(
      z
        .strictObject({
          userId: userIdSchema.optional(),
          agentId: agentIdSchema.optional(),
          action: z.string().min(1).max(200).optional(),
          since: z.int().min(0).optional(),
          until: z.int().min(0).optional(),
          ...pageFields,
        })
        .prefault({}),
    )
    .output(pageSchema(auditRecordSchema))
    .query(async ({ ctx, input: { limit, cursor, ...filter } }) => {
      return await ctx.services.audit.search(filter, { limit, cursor });
    }),

  /**
   * Walks the whole chain of records and names the first one that was changed, taken out, put elsewhere or added. Who can write
   * to the database can also make a new chain: note the `head` down elsewhere, and give it as `known` the next time.
   */
  verify: procedure
    .meta({ needs: 'oversee' })
    .input(z.strictObject({ known: chainHeadSchema.optional() }).prefault({}))
    .output(verificationSchema)
    .query(async ({ ctx, input }) => await ctx.services.audit.verify(input.known)),
});
