import type { EgressTarget } from '../ports.ts';
import { targetText } from '../target.ts';
import { type HostRule, matchesHost } from './host-pattern.ts';
import {
  type EgressMode,
  egressModes,
  type EgressPolicyRecord,
  type EgressRule,
  type EgressScope,
  type RuleEffect,
  subjectText,
} from './policy.ts';
import { presetHosts } from './presets.ts';

/** What an operator decides by the settings. */
export interface EgressDefaults {
  /** Public hosts that every agent may reach. */
  readonly allow: readonly HostRule[];
  /** The same of one's own network. */
  readonly internal: readonly HostRule[];
  /** Of an agent whose policy names none. */
  readonly mode: EgressMode;
  /** The widest that an agent can have, where the operator's policy names none. */
  readonly ceiling: EgressMode;
}

/** The policies that an agent stands under. */
export interface EgressLayers {
  readonly operator: EgressPolicyRecord;
  readonly ceiling: EgressPolicyRecord;
  readonly user: EgressPolicyRecord;
  readonly agent: EgressPolicyRecord;
}

/** Whose word it was: a policy's, or that of the settings. */
type JudgementSource = EgressScope['kind'] | 'settings';

export type Judgement =
  | {
      readonly verdict: 'allow';
      readonly source: JudgementSource;
      /** The rule's host or preset, or `open`. */
      readonly rule: string;
      readonly internal: boolean;
    }
  | { readonly verdict: 'ask'; readonly source: JudgementSource }
  | {
      readonly verdict: 'deny';
      readonly source: JudgementSource;
      /** Null where no rule speaks of it. */
      readonly rule: string | null;
      /** One sentence for the program in the sandbox. */
      readonly reason: string;
    };

/**
 * Whether an agent may go to `target`. In this order: what any policy denies is denied; what the operator allows (settings
 * and policy) is allowed; what a ceiling shuts out is denied; then the rules of the user and the agent, and last the mode,
 * which is the narrowest of the agent's and the two ceilings'. A ceiling `ask` shuts nothing out, but below it people are asked for
 * what it does not list; `allowlist` shuts that out; `deny` leaves only what the operator allows.
 */
export function judge(
  target: EgressTarget,
  layers: EgressLayers,
  { defaults, now }: { readonly defaults: EgressDefaults; readonly now: number },
): Judgement {
  const { operator, ceiling, user, agent } = layers;
  const find = (policy: EgressPolicyRecord, effect: RuleEffect): EgressRule | undefined =>
    policy.rules.find((rule) => rule.effect === effect && isLive(rule, now) && speaksOf(rule, target));

  for (const policy of [operator, ceiling, user, agent]) {
    const rule = find(policy, 'deny');
    if (rule !== undefined) {
      const reason = `A rule denies ${targetText(target)}.`;
      return { verdict: 'deny', source: policy.scope.kind, rule: subjectText(rule.subject), reason };
    }
  }

  const internal = defaults.internal.find((rule) => matchesHost(rule, target));
  if (internal !== undefined) return { verdict: 'allow', source: 'settings', rule: internal.host, internal: true };
  const usual = defaults.allow.find((rule) => matchesHost(rule, target));
  if (usual !== undefined) return { verdict: 'allow', source: 'settings', rule: usual.host, internal: false };
  const given = find(operator, 'allow');
  if (given !== undefined) return allowedBy(operator, given);

  const { mode, source } = effectiveMode(layers, defaults);
  let isAsk = (agent.mode ?? defaults.mode) === 'ask';
  for (const policy of [operator, ceiling]) {
    const widest = policy.mode ?? (policy === operator ? defaults.ceiling : 'open');
    if (find(policy, 'permit') !== undefined) continue;
    if (widest === 'allowlist') return denied(target, policy.scope.kind);
    isAsk ||= widest === 'ask';
  }
  if (mode === 'deny') return denied(target, source);
  for (const policy of [user, agent]) {
    const rule = find(policy, 'allow');
    if (rule !== undefined) return allowedBy(policy, rule);
  }
  // What a ceiling lists may be asked for, or be open, below it.
  if ((agent.mode ?? defaults.mode) === 'allowlist') return denied(target, 'agent');
  return isAsk ? { verdict: 'ask', source } : { verdict: 'allow', source: 'agent', rule: 'open', internal: false };
}

export interface EffectiveMode {
  readonly mode: EgressMode;
  /** Whose it is. */
  readonly source: EgressScope['kind'];
}

/** The mode that an agent acts in. */
export function effectiveMode(
  { operator, ceiling, agent }: EgressLayers,
  defaults: Pick<EgressDefaults, 'mode' | 'ceiling'>,
): EffectiveMode {
  return narrowest({ mode: agent.mode ?? defaults.mode, source: 'agent' }, widestMode({ operator, ceiling }, defaults));
}

/** The widest mode that agents can have: without a ceiling everyone's, else those of its user. */
export function widestMode(
  { operator, ceiling }: Pick<EgressLayers, 'operator'> & Partial<Pick<EgressLayers, 'ceiling'>>,
  defaults: Pick<EgressDefaults, 'ceiling'>,
): EffectiveMode {
  const ofEveryone = { mode: operator.mode ?? defaults.ceiling, source: 'operator' } as const;
  return ceiling === undefined
    ? ofEveryone
    : narrowest({ mode: ceiling.mode ?? 'open', source: 'ceiling' }, ofEveryone);
}

/** Where both are as wide, the first. */
function narrowest(one: EffectiveMode, other: EffectiveMode): EffectiveMode {
  return width(other.mode) < width(one.mode) ? other : one;
}

export function isLive({ expiresAt }: Pick<EgressRule, 'expiresAt'>, now: number): boolean {
  return expiresAt === null || now < expiresAt;
}

function width(mode: EgressMode): number {
  return egressModes.indexOf(mode);
}

function speaksOf({ subject }: EgressRule, target: EgressTarget): boolean {
  return 'preset' in subject
    ? presetHosts(subject.preset).some((host) => matchesHost(host, target))
    : matchesHost(subject, target);
}

function allowedBy({ scope }: EgressPolicyRecord, { subject }: EgressRule): Judgement {
  return { verdict: 'allow', source: scope.kind, rule: subjectText(subject), internal: false };
}

function denied(target: EgressTarget, source: JudgementSource): Judgement {
  return { verdict: 'deny', source, rule: null, reason: `No rule allows ${targetText(target)}.` };
}
