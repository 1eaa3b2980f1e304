import { z } from 'zod';
import { CaissonError } from '../../../kernel/errors.ts';
import { type AgentId, agentIdSchema, egressRequestIdSchema } from '../../../kernel/ids.ts';
import { portSchema } from '../../../wire/contract/ports.ts';
import { refusalOf } from '../../auth/needs.ts';
import { dayMs } from '../../egress/log/egress-log.ts';
import { egressAnswers } from '../../egress/policy/rule-policy.ts';
import { egressLogEntrySchema, egressRequestSchema, egressUsageSchema } from '../schemas/egress-log.ts';
import { whySchema } from '../schemas/egress-policy.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { procedure, router } from '../trpc.ts';
import { egressPolicyRouter } from './egress.policy.ts';

export const egressRouter = router({
  policy: egressPolicyRouter,

  /** Connections that wait for a decision, the oldest first, at most 1,024: of one agent, or of all that the caller may see. */
  pending: procedure
    .meta({ needs: 'list' })
    .input(z.strictObject({ agentId: agentIdSchema.optional() }).prefault({}))
    .output(z.object({ items: z.array(egressRequestSchema).readonly() }))
    .query(async ({ ctx: { principal, services }, input: { agentId } }) => {
      const { access, egressPolicy } = services;
      const demand = { principal, need: 'view' } as const;
      if (agentId !== undefined) await access.agent(demand, agentId);
      const seen = new Map<AgentId, boolean>();
      const items: z.input<typeof egressRequestSchema>[] = [];
      for (const each of egressPolicy.pending()) {
        if (agentId !== undefined && each.agentId !== agentId) continue;
        const isSeen = seen.get(each.agentId) ?? (await access.sees(demand, each.agentId));
        seen.set(each.agentId, isSeen);
        if (isSeen) items.push(each);
      }
      return { items };
    }),

  /**
   * Answers for every connection of the agent that waits for the host: `once` for these, `agent` with a rule for the agent,
   * `always` with a rule for all agents of its owner, or `deny`, which also denies the host for the next 5 minutes. Whoever may
   * use the agent may let it out once; rules are for who owns it. The first answer counts. `ports`: those that whoever answers was
   * shown; the others that wait are denied. Default: all that wait.
   */
  decide: procedure
    .meta({ needs: 'use' })
    .input(
      z.strictObject({
        requestId: egressRequestIdSchema,
        answer: z.enum(egressAnswers),
        ports: z.array(portSchema).min(1).max(32).readonly().optional(),
        why: whySchema.optional(),
      }),
    )
    .output(z.object({ requestId: egressRequestIdSchema, host: z.string(), ports: z.array(z.int()).readonly() }))
    .mutation(
      async ({ ctx: { demand, principal, services }, input: { requestId, answer, ports: shown, why = null } }) => {
        const { access, egressPolicy } = services;
        const pending = egressPolicy.findPending(requestId);
        if (pending === undefined || !(await access.sees({ principal, need: 'view' }, pending.agentId))) {
          throw new CaissonError('EGRESS_REQUEST_NOT_FOUND', `Nothing waits for a decision under ${requestId}.`);
        }
        const makesRule = answer === 'agent' || answer === 'always';
        if (answer === 'always') access.permit({ principal, need: 'create' });
        await access.agent(makesRule ? { ...demand, need: 'own' } : demand, pending.agentId);
        const { host, ports } = await egressPolicy.answer(requestId, {
          answer,
          ports: shown,
          by: principal.userId,
          why,
        });
        return { requestId, host, ports };
      },
    ),

  /**
   * Where the agent has connected, and where it was denied, by hour and place, the newest first; 5,000 entries are kept of an
   * agent. A connection is told within a second after its end.
   */
  log: procedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        /** Of this one alone. */
        host: z.string().max(300).optional(),
        ...pageFields,
      }),
    )
    .output(pageSchema(egressLogEntrySchema))
    .query(async ({ ctx: { demand, services }, input: { agentId, host = null, ...page } }) => {
      await services.access.agent(demand, agentId);
      return await services.egressLog.listLog(agentId, { host }, page);
    }),

  /**
   * Bytes and connections by agent and day in UTC, the newest day first, at most 1,000 rows: of one agent, or of all that the
   * caller owns (of everyone's for administrators and auditors), also of those that were deleted since. Connections count when they are over, for the day on which they began.
   */
  usage: procedure
    .meta({ needs: 'self' })
    .input(
      z
        .strictObject({
          agentId: agentIdSchema.optional(),
          /** Today is the first. */
          days: z.int().min(1).max(400).default(7),
        })
        .prefault({}),
    )
    .output(z.object({ items: z.array(egressUsageSchema).readonly() }))
    .query(async ({ ctx: { principal, services }, input: { agentId, days } }) => {
      const { access, egressLog } = services;
      const seesAll = refusalOf(principal, 'oversee') === undefined;
      if (!seesAll && agentId !== undefined) await access.agent({ principal, need: 'view' }, agentId);
      if (agentId === undefined && principal.agents !== null) {
        throw new CaissonError('FORBIDDEN', 'The API key is for named agents only: name one.');
      }
      const since = (Math.floor(Date.now() / dayMs) - days + 1) * dayMs;
      const filter = agentId === undefined ? { ownerId: seesAll ? null : principal.userId } : { agentId };
      return { items: await egressLog.listUsage(filter, since) };
    }),
});
