import { z } from 'zod';
import { agentIdSchema, egressRuleIdSchema, type UserId } from '../../../kernel/ids.ts';
import { portSchema } from '../../../wire/contract/ports.ts';
import type { NewEgressRule } from '../../egress/policy/egress-rules.ts';
import { newRuleSubject } from '../../egress/policy/new-rule-subject.ts';
import { isLive } from '../../egress/policy/judge.ts';
import type { EgressPolicyRecord, EgressRule } from '../../egress/policy/policy.ts';
import { egressPresets, presetHosts, presetNames } from '../../egress/policy/presets.ts';
import { notPublic } from '../../egress/policy/rule-policy.ts';
import { isPrivateAddress } from '../../egress/public-address.ts';
import { parseTarget } from '../../egress/target.ts';
import { egressScope } from '../egress-scope.ts';
import {
  egressModeSchema,
  egressPolicySchema,
  egressRuleSchema,
  newEgressRuleSchema,
  ofPolicy,
  whySchema,
} from '../schemas/egress-policy.ts';
import type { ApiServices } from '../services.ts';
import { procedure, router } from '../trpc.ts';

export const egressPolicyRouter = router({
  /**
   * The policy of an agent, or for administrators and auditors of everyone (`operator`: every agent reaches what it allows, and its mode
   * is the widest that any can have), what limits the agents of a user (`ceiling`), and what a user always allows (`user`).
   */
  get: procedure
    .meta({ needs: 'self' })
    .input(ofPolicy({}))
    .output(egressPolicySchema)
    .query(async ({ ctx: { principal, services }, input }) => {
      const scope = await egressScope(services, { principal, named: input, change: false });
      return await policyView(services, await services.egressRules.get(scope));
    }),

  /**
   * Changes a policy, all of it or nothing, and answers it. It holds at once, for open connections too. A rule takes the
   * place of one that says the same of the same. With `version`, only if nobody has changed it since.
   */
  set: procedure
    .meta({ needs: 'self' })
    .input(
      ofPolicy({
        /** Null: the default. */
        mode: egressModeSchema.nullable().optional(),
        add: z.array(newEgressRuleSchema).max(100).default([]),
        /** By their ids; those that are gone are passed over. */
        remove: z.array(egressRuleIdSchema).max(200).default([]),
        version: z.int().min(0).optional(),
        why: whySchema.optional(),
      }),
    )
    .output(
      egressPolicySchema.extend({
        /** The rules that it took away, where it did. */
        removed: z.array(egressRuleSchema).readonly().optional(),
      }),
    )
    .mutation(async ({ ctx: { principal, services }, input }) => {
      const scope = await egressScope(services, { principal, named: input, change: true });
      const now = Date.now();
      const before = input.remove.length === 0 ? undefined : await services.egressRules.get(scope);
      const changed = await services.egressRules.change(scope, {
        by: principal.userId,
        mode: input.mode,
        add: input.add.map((rule) => newRule(rule, now)),
        remove: input.remove,
        ifVersion: input.version,
        why: input.why ?? null,
      });
      const policy = await policyView(services, changed);
      const gone = before?.rules.filter(
        ({ id }) => input.remove.includes(id) && !changed.rules.some((rule) => rule.id === id),
      );
      if (gone === undefined || gone.length === 0) return policy;
      return { ...policy, removed: (await policyView(services, { ...changed, rules: gone })).rules };
    }),

  /** What would become of a connection of the agent, and by whose word. Nothing is connected, and nobody is asked. */
  test: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema, host: z.string().min(1).max(300), port: portSchema.default(443) }))
    .output(
      z.object({
        verdict: z.enum(['allow', 'ask', 'deny']),
        source: z.enum(['settings', 'operator', 'ceiling', 'user', 'agent']),
        /** What allows or denies it; null where no rule speaks of it. */
        rule: z.string().nullable(),
        /** What a program in the sandbox would be told. */
        reason: z.string().nullable(),
        /** The host as it is understood. */
        host: z.string(),
        port: portSchema,
      }),
    )
    .query(async ({ ctx: { demand, services }, input }) => {
      await services.access.agent(demand, input.agentId);
      const target = parseTarget(input.host, String(input.port));
      const { judgement } = await services.egressRules.judge(input.agentId, target);
      const isNamed = judgement.verdict === 'allow' && judgement.internal;
      if (judgement.verdict !== 'deny' && !isNamed && isPrivateAddress(target.host)) {
        return { verdict: 'deny', source: 'settings', rule: null, reason: notPublic(target), ...target };
      }
      return {
        rule: null,
        reason: null,
        ...judgement,
        ...target,
      };
    }),

  /** Hosts that belong together, by the names that rules call them. */
  presets: procedure
    .meta({ needs: 'self' })
    .output(
      z.object({
        items: z
          .array(
            z.object({
              name: z.enum(presetNames),
              about: z.string(),
              hosts: z.array(z.object({ host: z.string(), ports: z.array(portSchema).readonly() })).readonly(),
            }),
          )
          .readonly(),
      }),
    )
    .query(() => ({
      items: presetNames.map((name) => ({ name, about: egressPresets[name].about, hosts: presetHosts(name) })),
    })),
});

function newRule(
  { effect, expiresIn, why, ...subject }: z.output<typeof newEgressRuleSchema>,
  now: number,
): NewEgressRule {
  return {
    effect,
    subject: newRuleSubject({ effect, ...subject }),
    expiresAt: expiresIn === undefined ? null : now + expiresIn,
    why: why ?? null,
  };
}

async function policyView(
  { egressRules, keys }: ApiServices,
  { scope, mode, rules, version, changed }: EgressPolicyRecord,
): Promise<z.input<typeof egressPolicySchema>> {
  const now = Date.now();
  const names = new Map<UserId, string>();
  for (const id of [...rules.map(({ addedBy }) => addedBy), ...(changed === null ? [] : [changed.by])]) {
    if (!names.has(id)) names.set(id, (await keys.userName(id)) ?? id);
  }
  return {
    mode,
    effective: await egressRules.effectiveMode(scope),
    rules: rules.map((rule) => ruleView(rule, names.get(rule.addedBy) ?? rule.addedBy, now)),
    version,
    changedBy: changed?.by ?? null,
    changedByName: changed === null ? null : (names.get(changed.by) ?? changed.by),
    changedAt: changed?.at ?? null,
    why: changed?.why ?? null,
  };
}

function ruleView(
  { subject, ...rule }: EgressRule,
  addedByName: string,
  now: number,
): z.input<typeof egressRuleSchema> {
  const spoken =
    'preset' in subject
      ? { host: null, ports: null, preset: subject.preset }
      : { host: subject.host, ports: subject.ports ?? ('any' as const), preset: null };
  return { ...rule, ...spoken, addedByName, expired: !isLive(rule, now) };
}
