import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type EgressDefaults,
  type EgressLayers,
  effectiveMode,
  judge,
  type Judgement,
} from '../../../../src/controlplane/egress/policy/judge.ts';
import {
  effectsOfScope,
  type EgressMode,
  egressModes,
  type EgressPolicyRecord,
  type EgressRule,
  type EgressScope,
  type RuleEffect,
  type RuleSubject,
} from '../../../../src/controlplane/egress/policy/policy.ts';
import { newAgentId, newEgressRuleId, newUserId } from '../../../../src/kernel/ids.ts';

const now = 1_760_000_000_000;
const userId = newUserId();
const scopes = {
  operator: { kind: 'operator' },
  ceiling: { kind: 'ceiling', userId },
  user: { kind: 'user', userId },
  agent: { kind: 'agent', agentId: newAgentId() },
} as const satisfies Record<EgressScope['kind'], EgressScope>;
const target = { host: 'api.example.com', port: 443 };

function rule(effect: RuleEffect, subject: RuleSubject, expiresAt: number | null = null): EgressRule {
  return { id: newEgressRuleId(), effect, subject, addedBy: userId, addedAt: now, why: null, expiresAt };
}
const host = (name: string, ports: readonly number[] | null = [443]): RuleSubject => ({ host: name, ports });

type Given = Partial<
  Record<EgressScope['kind'], { readonly mode?: EgressMode; readonly rules?: readonly EgressRule[] }>
>;

function layersOf(given: Given): EgressLayers {
  const policy = (kind: EgressScope['kind']): EgressPolicyRecord => ({
    scope: scopes[kind],
    mode: given[kind]?.mode ?? null,
    rules: given[kind]?.rules ?? [],
    version: 0,
    changed: null,
  });
  return { operator: policy('operator'), ceiling: policy('ceiling'), user: policy('user'), agent: policy('agent') };
}

const usual: EgressDefaults = { allow: [], internal: [], mode: 'deny', ceiling: 'ask' };
const judged = (given: Given, defaults: Partial<EgressDefaults> = {}, at = target): Judgement =>
  judge(at, layersOf(given), { defaults: { ...usual, ...defaults }, now });

describe('without any rule', () => {
  test.each([
    ['deny', 'open', 'deny'],
    ['allowlist', 'open', 'deny'],
    ['ask', 'open', 'ask'],
    ['open', 'open', 'allow'],
    ['open', 'ask', 'ask'],
    ['open', 'allowlist', 'deny'],
    ['ask', 'allowlist', 'deny'],
    ['open', 'deny', 'deny'],
  ] as const)('the mode %s below the ceiling %s: %s', (mode, ceiling, verdict) => {
    expect(judged({ agent: { mode }, operator: { mode: ceiling } }).verdict).toBe(verdict);
    expect(judged({ agent: { mode }, operator: { mode: 'open' }, ceiling: { mode: ceiling } }).verdict).toBe(verdict);
    expect(judged({}, { mode, ceiling }).verdict).toBe(verdict);
  });

  test('an agent that nobody spoke of may go nowhere, and is told so in a sentence', () => {
    expect(judged({})).toEqual({
      verdict: 'deny',
      source: 'agent',
      rule: null,
      reason: 'No rule allows api.example.com:443.',
    });
  });
});

describe('a rule of the agent', () => {
  test.each([
    ['deny', 'deny'],
    ['allowlist', 'allow'],
    ['ask', 'allow'],
    ['open', 'allow'],
  ] as const)('in the mode %s: %s', (mode, verdict) => {
    expect(judged({ agent: { mode, rules: [rule('allow', host('api.example.com'))] } }).verdict).toBe(verdict);
    expect(judged({ agent: { mode }, user: { rules: [rule('allow', host('api.example.com'))] } }).verdict).toBe(
      verdict,
    );
  });

  test.each([
    ['api.example.com', [443], true],
    ['api.example.com', [80], false],
    ['api.example.com', null, true],
    ['*.example.com', [443], true],
    ['example.com', [443], false],
    ['*.api.example.com', [443], false],
    ['*.xample.com', [443], false],
    ['api.example.co', [443], false],
  ] as const)('for %s at %j speaks of api.example.com:443: %s', (name, ports, does) => {
    const given = { agent: { mode: 'allowlist' as const, rules: [rule('allow', host(name, ports))] } };
    expect(judged(given).verdict).toBe(does ? 'allow' : 'deny');
  });

  test('is nothing from the moment at which it expires', () => {
    const at = (expiresAt: number): Judgement =>
      judged({ agent: { mode: 'allowlist', rules: [rule('allow', host('api.example.com'), expiresAt)] } });
    expect([at(now - 1).verdict, at(now).verdict, at(now + 1).verdict]).toEqual(['deny', 'deny', 'allow']);
  });

  test('may name a preset, whose hosts have ports of their own', () => {
    const given = { agent: { mode: 'allowlist' as const, rules: [rule('allow', { preset: 'github' })] } };
    const verdicts = [
      ['github.com', 22],
      ['raw.githubusercontent.com', 443],
      ['raw.githubusercontent.com', 80],
      ['githubusercontent.com', 443],
      ['github.com.evil.example', 443],
    ] as const;
    expect(verdicts.map(([name, port]) => judged(given, {}, { host: name, port }).verdict)).toEqual([
      'allow',
      'allow',
      'deny',
      'deny',
      'deny',
    ]);
  });
});

describe('what the operator says', () => {
  test('is given to every agent, in every mode, by the settings and by the policy', () => {
    const rules = [rule('allow', host('api.example.com'))];
    for (const mode of egressModes) {
      expect(judged({ operator: { rules }, agent: { mode }, ceiling: { mode: 'deny' } })).toMatchObject({
        verdict: 'allow',
        source: 'operator',
        internal: false,
      });
      const named = [{ host: 'api.example.com', ports: [443] }];
      expect(judged({ agent: { mode } }, { allow: named })).toMatchObject({ source: 'settings', internal: false });
      expect(judged({ agent: { mode } }, { internal: named })).toMatchObject({ source: 'settings', internal: true });
    }
  });

  test('by an allowlist: others may allow what it permits, and nothing else', () => {
    const given = (permitted: string): Given => ({
      operator: { mode: 'allowlist', rules: [rule('permit', host(permitted))] },
      agent: { mode: 'allowlist', rules: [rule('allow', host('api.example.com'))] },
    });
    expect(judged(given('*.example.com')).verdict).toBe('allow');
    expect(judged(given('other.example')).verdict).toBe('deny');
    expect(judged({ ...given('*.example.com'), agent: { mode: 'allowlist' } }).verdict).toBe('deny');
    expect(judged({ ...given('*.example.com'), agent: { mode: 'ask' } }).verdict).toBe('ask');
    expect(judged({ ...given('*.example.com'), agent: { mode: 'open' } }).verdict).toBe('allow');
  });

  test('by a ceiling `ask`: people are asked but for what it permits, where the agent is open', () => {
    const given = (permitted: string, mode: EgressMode): Given => ({
      operator: { mode: 'ask', rules: [rule('permit', host(permitted))] },
      agent: { mode },
    });
    expect(judged(given('*.example.com', 'open')).verdict).toBe('allow');
    expect(judged(given('other.example', 'open')).verdict).toBe('ask');
    expect(judged(given('*.example.com', 'ask')).verdict).toBe('ask');
    expect(judged(given('*.example.com', 'allowlist')).verdict).toBe('deny');
    expect(judged({ ...given('*.example.com', 'open'), ceiling: { mode: 'ask' } }).verdict).toBe('ask');
  });
});

test('what any policy denies is denied, whatever else allows it', () => {
  const allow = rule('allow', host('api.example.com'));
  for (const kind of ['operator', 'ceiling', 'user', 'agent'] as const) {
    const given: Given = {
      operator: { mode: 'open', rules: [allow] },
      user: { rules: [allow] },
      agent: { mode: 'open', rules: [allow] },
    };
    const denying = [...(given[kind]?.rules ?? []), rule('deny', host('*', null))];
    const defaults = { internal: [{ host: 'api.example.com', ports: [443] }] };
    expect(judged({ ...given, [kind]: { ...given[kind], rules: denying } }, defaults), kind).toMatchObject({
      verdict: 'deny',
      source: kind,
      rule: '*',
    });
  }
});

const modes = fc.constantFrom(undefined, ...egressModes);
const policies = fc.record(
  Object.fromEntries(
    (['operator', 'ceiling', 'user', 'agent'] as const).map((kind) => [
      kind,
      fc
        .record({
          mode: kind === 'user' ? fc.constant(undefined) : modes,
          rules: fc.array(
            fc
              .record({
                effect: fc.constantFrom<RuleEffect>(...effectsOfScope[kind]),
                name: fc.constantFrom('api.example.com', '*.example.com', 'other.example'),
              })
              .map(({ effect, name }) => rule(effect, host(name))),
            { maxLength: 3 },
          ),
        })
        .map(({ mode, rules }) => ({ ...(mode !== undefined && { mode }), rules })),
    ]),
  ),
) as fc.Arbitrary<Given>;
const rank = { deny: 0, ask: 1, allow: 2 } as const;

describe('whatever the policies say', () => {
  test('a narrower mode, anywhere, never lets more out', () => {
    fc.assert(
      fc.property(policies, fc.constantFrom('operator', 'ceiling', 'agent'), modes, (given, kind, mode) => {
        const other = { ...given, [kind]: { ...given[kind as keyof Given], ...(mode !== undefined && { mode }) } };
        const usualMode = kind === 'agent' ? usual.mode : kind === 'operator' ? usual.ceiling : 'open';
        const widthOf = (each: Given): number => egressModes.indexOf(each[kind as keyof Given]?.mode ?? usualMode);
        const [narrow, wide] = widthOf(given) <= widthOf(other) ? [given, other] : [other, given];
        expect(rank[judged(narrow).verdict]).toBeLessThanOrEqual(rank[judged(wide).verdict]);
      }),
    );
  });

  test('a further rule that denies, or one less that allows, never lets more out', () => {
    fc.assert(
      fc.property(policies, fc.constantFrom('operator', 'ceiling', 'user', 'agent'), (given, kind) => {
        const { rules = [], ...rest } = given[kind] ?? {};
        const before = rank[judged(given).verdict];
        const denying = { ...given, [kind]: { ...rest, rules: [...rules, rule('deny', host('api.example.com'))] } };
        expect(judged(denying).verdict).toBe('deny');
        const index = rules.findIndex(({ effect }) => effect !== 'deny');
        if (index < 0) return;
        const fewer = { ...given, [kind]: { ...rest, rules: rules.toSpliced(index, 1) } };
        expect(rank[judged(fewer).verdict]).toBeLessThanOrEqual(before);
      }),
    );
  });

  test('nobody gets out beyond the ceilings but to what the operator allows', () => {
    fc.assert(
      fc.property(policies, (given) => {
        const verdict = judged(given);
        if (verdict.verdict === 'deny' || ('source' in verdict && verdict.source === 'operator')) return;
        expect(effectiveMode(layersOf(given), usual).mode).not.toBe('deny');
        if (verdict.verdict === 'ask' || verdict.rule !== 'open') return;
        for (const { mode, rules = [] } of [{ mode: usual.ceiling, ...given.operator }, { ...given.ceiling }]) {
          if (mode === 'ask') expect(rules.map(({ effect }) => effect)).toContain('permit');
        }
      }),
    );
  });
});
