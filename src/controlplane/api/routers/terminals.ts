import { z } from 'zod';
import { agentIdSchema, terminalIdSchema } from '../../../kernel/ids.ts';
import { openTerminalSchema, terminalSizeSchema } from '../../../wire/contract/terminals.ts';
import { terminalSchema } from '../schemas/terminal.ts';
import { router, sandboxProcedure } from '../trpc.ts';

const ofAgent = { agentId: agentIdSchema };
const byId = z.strictObject({ ...ofAgent, terminalId: terminalIdSchema });

export const terminalsRouter = router({
  /**
   * Starts a shell, or a command, on a terminal of its own; the sandbox is started where needed. It runs until its program
   * ends or it is closed, whoever is attached. Attach to it by WebSocket: `client.terminals.attach`.
   */
  open: sandboxProcedure
    .meta({ needs: 'use' })
    .input(openTerminalSchema.extend(ofAgent))
    .output(terminalSchema)
    .mutation(async ({ ctx, input: { agentId, ...request }, signal }) => {
      const guest = await ctx.services.workspaces.openToRun(ctx.demand, agentId, signal);
      return await guest.terminals.open(request);
    }),

  /**
   * Those that run, and for 10 minutes those that have ended (16 at most), oldest first. None where the sandbox does not
   * run: terminals end with it.
   */
  list: sandboxProcedure
    .meta({ needs: 'view' })
    .input(z.strictObject(ofAgent))
    .output(z.object({ items: z.array(terminalSchema).readonly() }))
    .query(async ({ ctx, input: { agentId }, signal }) => {
      const guest = await ctx.services.workspaces.find(ctx.demand, agentId, signal);
      return { items: guest === undefined ? [] : await guest.terminals.list() };
    }),

  /** One terminal, with who is attached, who drives, and how it ended if it did. */
  get: sandboxProcedure
    .meta({ needs: 'view' })
    .input(byId)
    .output(terminalSchema)
    .query(async ({ ctx, input: { agentId, terminalId }, signal }) => {
      const guest = await ctx.services.workspaces.running(ctx.demand, agentId, signal);
      return await guest.terminals.get(terminalId);
    }),

  /** Changes the size of a terminal that nobody drives. While somebody does, only the driver can, over its attachment. */
  resize: sandboxProcedure
    .meta({ needs: 'use' })
    .input(terminalSizeSchema.extend(byId.shape))
    .output(terminalSchema)
    .mutation(async ({ ctx, input: { agentId, terminalId, ...size }, signal }) => {
      const guest = await ctx.services.workspaces.running(ctx.demand, agentId, signal);
      return await guest.terminals.resize(terminalId, size);
    }),

  /**
   * Hangs up: what runs in the terminal gets SIGHUP, and SIGKILL 2 s later. Answers with how it ended; it stays listed.
   * Closing one that has ended takes it from the list.
   */
  close: sandboxProcedure
    .meta({ needs: 'use' })
    .input(byId)
    .output(terminalSchema)
    .mutation(async ({ ctx, input: { agentId, terminalId }, signal }) => {
      const guest = await ctx.services.workspaces.running(ctx.demand, agentId, signal);
      return await guest.terminals.close(terminalId);
    }),
});
