import { z } from 'zod';
import { agentIdSchema } from '../../../kernel/ids.ts';
import { listeningPortSchema } from '../../../wire/contract/ports.ts';
import { router, sandboxProcedure } from '../trpc.ts';

export const portsRouter = router({
  /**
   * What listens in the agent's sandbox, by port, with the process that has it; at most 512. The events `port.opened` and
   * `port.closed` tell of changes. Starts no sandbox: one that does not run is SANDBOX_NOT_RUNNING.
   */
  list: sandboxProcedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema }))
    .output(z.object({ items: z.array(listeningPortSchema).readonly() }))
    .query(async ({ ctx, input, signal }) => {
      const guest = await ctx.services.workspaces.running(ctx.demand, input.agentId, signal);
      return { items: await guest.ports.list(signal) };
    }),
});
