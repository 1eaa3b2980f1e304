import { z } from 'zod';
import { usageOfUsers } from '../../admin/usage-of-users.ts';
import { overviewSchema, userUsageSchema } from '../schemas/admin.ts';
import { procedure, router } from '../trpc.ts';
import { adminSandboxesRouter } from './admin.sandboxes.ts';

/** What administrators and auditors see of all of it. Users, keys, quotas, plans, usage and egress have routers of their own. */
export const adminRouter = router({
  sandboxes: adminSandboxesRouter,

  /** How the machine, the engine and the control plane are: load, memory, disks, runs that wait, what is open. */
  overview: procedure
    .meta({ needs: 'oversee' })
    .output(overviewSchema)
    .query(async ({ ctx: { services } }) => {
      const everyone = { visibleTo: null, among: null };
      const [overview, sandboxes] = await Promise.all([
        services.admin.overview.read(),
        services.domain.agents.sandboxTally(everyone),
      ]);
      return { ...overview, sandboxes, open: services.openCalls() };
    }),

  /**
   * What each user has, and has used of models and of egress, who cost most first. By day, agent or model: `usage.totals` and
   * `egress.usage`.
   */
  usage: procedure
    .meta({ needs: 'oversee' })
    .input(
      z
        .strictObject({
          /** Of UTC. Today is the first. */
          days: z.int().min(1).max(366).default(30),
        })
        .prefault({}),
    )
    .output(z.object({ items: z.array(userUsageSchema).readonly() }))
    .query(async ({ ctx: { services }, input: { days } }) => ({
      items: await usageOfUsers(services.admin.usage, days, Date.now()),
    })),
});
