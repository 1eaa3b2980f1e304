import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentStore } from '../../src/agents/ports.ts';
import type { IdentityStore } from '../../src/controlplane/auth/identity.ts';
import {
  type EgressPolicyChange,
  type EgressPolicyStore,
  type EgressRule,
  keepExpiredMs,
  mostRules,
} from '../../src/controlplane/egress/policy/policy.ts';
import { newAgentId, newEgressRuleId, newUserId } from '../../src/kernel/ids.ts';
import { now, storedAgent } from './store-records.ts';

const by = newUserId();

const aRule = (of: Partial<EgressRule> = {}): EgressRule => ({
  id: newEgressRuleId(),
  effect: 'allow',
  subject: { host: 'example.com', ports: [443] },
  addedBy: by,
  addedAt: now,
  why: 'the build needs it',
  expiresAt: null,
  ...of,
});
const aChange = (of: Partial<EgressPolicyChange> = {}): EgressPolicyChange => ({
  ifVersion: null,
  mode: undefined,
  add: [],
  remove: [],
  by,
  at: now,
  why: null,
  ...of,
});
const operator = { kind: 'operator' } as const;

/** What every `EgressPolicyStore` does. Each test has an empty store. */
export function egressPolicyStoreContract(
  name: string,
  open: () => Promise<{
    readonly store: EgressPolicyStore;
    readonly agents: AgentStore;
    readonly identities: IdentityStore;
    readonly close: () => Promise<void>;
  }>,
): void {
  describe(`the store of egress policies in ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>;
    let store: EgressPolicyStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(async () => {
      await opened.close();
    });

    test('a policy that was never changed is there, with version 0', async () => {
      const scopes = [operator, { kind: 'user', userId: by }] as const;
      expect(await store.findPolicies(scopes)).toEqual(
        scopes.map((scope) => ({ scope, mode: null, rules: [], version: 0, changed: null })),
      );
    });

    test('a change is kept with who, when and why, in every scope apart', async () => {
      const { agent } = await storedAgent(opened.agents);
      const user = await opened.identities.insertUser({
        id: newUserId(),
        name: 'ada',
        role: 'member',
        createdAt: now,
        disabledAt: null,
      });
      const scopes = [
        operator,
        { kind: 'ceiling', userId: user.id },
        { kind: 'user', userId: user.id },
        { kind: 'agent', agentId: agent.id },
      ] as const;
      const rules = scopes.map(() => [aRule(), aRule({ subject: { preset: 'npm' }, expiresAt: now + 5 })]);
      for (const [index, scope] of scopes.entries()) {
        const change = aChange({ mode: scope.kind === 'user' ? undefined : 'ask', add: rules[index] ?? [], why: 'so' });
        await store.changePolicy(scope, change);
      }
      expect(await store.findPolicies(scopes)).toEqual(
        scopes.map((scope, index) => ({
          scope,
          mode: scope.kind === 'user' ? null : 'ask',
          rules: rules[index],
          version: 1,
          changed: { by, at: now, why: 'so' },
        })),
      );
    });

    test('a rule takes the place of one that says the same of the same; removed ones go, unknown ones are passed over', async () => {
      const [first, denying, other] = [aRule(), aRule({ effect: 'deny' }), aRule({ subject: { preset: 'npm' } })];
      await store.changePolicy(operator, aChange({ add: [first, denying, other] }));
      const again = aRule({ expiresAt: now + 9 });
      const changed = await store.changePolicy(
        operator,
        aChange({ add: [again], remove: [other.id, newEgressRuleId()] }),
      );
      expect(changed.rules).toEqual([denying, again]);
      expect(await store.findPolicies([operator])).toEqual([changed]);
    });

    test('of two who change the same version one is told, and changes nothing', async () => {
      const change = (mode: 'ask' | 'open') => store.changePolicy(operator, aChange({ mode, ifVersion: 0 }));
      const outcomes = await Promise.allSettled([change('ask'), change('open')]);
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
      expect(outcomes[1]).toMatchObject({ reason: { code: 'EGRESS_POLICY_CHANGED', details: { version: 1 } } });
      expect((await store.findPolicies([operator]))[0]).toMatchObject({ mode: 'ask', version: 1 });
    });

    test('above the limit of rules nothing is changed', async () => {
      const many = Array.from({ length: mostRules }, (_, n) =>
        aRule({ subject: { host: `h${n}.example`, ports: null } }),
      );
      await store.changePolicy(operator, aChange({ add: many }));
      const further = aChange({ add: [aRule()], mode: 'open' });
      await expect(store.changePolicy(operator, further)).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
      expect((await store.findPolicies([operator]))[0]).toMatchObject({ mode: null, version: 1 });
      const exchanged = aChange({ add: [aRule()], remove: many.slice(0, 1).map(({ id }) => id) });
      expect((await store.changePolicy(operator, exchanged)).rules).toHaveLength(mostRules);
    });

    test('what expired long ago goes with the next change; what is to expire next is known', async () => {
      const old = aRule({ expiresAt: now - keepExpiredMs - 1 });
      const soon = aRule({ expiresAt: now + 10, subject: { preset: 'npm' } });
      await store.changePolicy(operator, aChange({ add: [old, soon], at: now - keepExpiredMs }));
      expect(await store.nextExpiry(now)).toBe(now + 10);
      expect(await store.nextExpiry(now + 10)).toBeNull();
      expect((await store.changePolicy(operator, aChange({ mode: 'ask' }))).rules).toEqual([soon]);
    });

    test('an agent that is not there has no policy', async () => {
      const gone = store.changePolicy({ kind: 'agent', agentId: newAgentId() }, aChange({ mode: 'open' }));
      await expect(gone).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    });
  });
}
