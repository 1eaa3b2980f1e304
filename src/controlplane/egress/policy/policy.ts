import type { AgentId, EgressRuleId, UserId } from '../../../kernel/ids.ts';
import type { PresetName } from './presets.ts';

/**
 * What becomes of a host that no rule speaks of, from the narrowest to the widest: refused, whatever the agent's own rules say;
 * refused, but for the rules; held while a person decides; let through, where its address is public.
 */
export const egressModes = ['deny', 'allowlist', 'ask', 'open'] as const;
export type EgressMode = (typeof egressModes)[number];

/**
 * What a rule does. `allow` lets agents out, `deny` keeps them in, whatever else allows it. `permit` lets nobody out by itself:
 * it is on the list of what a narrower policy may allow.
 */
export const ruleEffects = ['allow', 'permit', 'deny'] as const;
export type RuleEffect = (typeof ruleEffects)[number];

/** What a rule speaks of. */
export type RuleSubject =
  | {
      /** As in `HostRule`; `*` for every host. */
      readonly host: string;
      /** Null: every port. */
      readonly ports: readonly number[] | null;
    }
  | { readonly preset: PresetName };

export interface EgressRule {
  readonly id: EgressRuleId;
  readonly effect: RuleEffect;
  readonly subject: RuleSubject;
  readonly addedBy: UserId;
  /** Milliseconds since the epoch. */
  readonly addedAt: number;
  readonly why: string | null;
  /** From then on it says nothing, and open connections are decided again. Null: never. */
  readonly expiresAt: number | null;
}

/**
 * Whom a policy is for. `operator`: every agent; its mode is the widest that any can have, and what it allows, all may reach.
 * `ceiling`: the agents of a user, as an administrator limits them; its mode as well is the widest. `user`: what a user always
 * allows or denies to the own agents; it has no mode. `agent`: one agent, and its mode.
 */
export type EgressScope =
  | { readonly kind: 'operator' }
  | { readonly kind: 'ceiling'; readonly userId: UserId }
  | { readonly kind: 'user'; readonly userId: UserId }
  | { readonly kind: 'agent'; readonly agentId: AgentId };

/** The effects that the rules of a scope can have. */
export const effectsOfScope = {
  operator: ['allow', 'permit', 'deny'],
  ceiling: ['permit', 'deny'],
  user: ['allow', 'deny'],
  agent: ['allow', 'deny'],
} as const satisfies Readonly<Record<EgressScope['kind'], readonly RuleEffect[]>>;

export interface EgressPolicyRecord {
  readonly scope: EgressScope;
  /** Null: the default of its scope. */
  readonly mode: EgressMode | null;
  /** In the order in which they were added, expired ones too. At most `mostRules`. */
  readonly rules: readonly EgressRule[];
  /** One more with every change; 0 before the first. */
  readonly version: number;
  /** Of the last change; null before the first. */
  readonly changed: { readonly by: UserId; readonly at: number; readonly why: string | null } | null;
}

/** Rules of one policy. */
export const mostRules = 200;
/** How long a rule that has expired is still shown. */
export const keepExpiredMs = 30 * 86_400_000;

/** A change of one policy. All of it is made, or nothing. */
export interface EgressPolicyChange {
  /** Null: whatever the version is. */
  readonly ifVersion: number | null;
  /** Undefined: as it is. Null: the default. */
  readonly mode: EgressMode | null | undefined;
  /** Each takes the place of one with the same effect and subject. */
  readonly add: readonly EgressRule[];
  /** Those that are not there are passed over. */
  readonly remove: readonly EgressRuleId[];
  readonly by: UserId;
  readonly at: number;
  readonly why: string | null;
}

/** Where policies are kept. */
export interface EgressPolicyStore {
  /** In the order of `scopes`; one that was never changed has version 0. */
  findPolicies(scopes: readonly EgressScope[]): Promise<readonly EgressPolicyRecord[]>;
  /**
   * Answers the policy as it is then. Rules that expired more than `keepExpiredMs` ago go with it. Atomic. Errors:
   * EGRESS_POLICY_CHANGED for another version; LIMIT_REACHED above `mostRules`; AGENT_NOT_FOUND.
   */
  changePolicy(scope: EgressScope, change: EgressPolicyChange): Promise<EgressPolicyRecord>;
  /** When the next rule of any policy expires after `now`. */
  nextExpiry(now: number): Promise<number | null>;
}

/** A text that no other scope has. */
export function scopeKey(scope: EgressScope): string {
  switch (scope.kind) {
    case 'operator':
      return scope.kind;
    case 'ceiling':
    case 'user':
      return `${scope.kind}:${scope.userId}`;
    case 'agent':
      return `${scope.kind}:${scope.agentId}`;
  }
}

/** A text that is the same for rules that say the same of the same. */
export function ruleKey({ effect, subject }: Pick<EgressRule, 'effect' | 'subject'>): string {
  const { preset, host, ports } = { preset: null, host: null, ports: null, ...subject };
  return JSON.stringify([effect, preset, host, ports?.toSorted((a, b) => a - b) ?? null]);
}

/** What a rule speaks of, as people know it: the preset's name, or the host. */
export function subjectText(subject: RuleSubject): string {
  return 'preset' in subject ? subject.preset : subject.host;
}
