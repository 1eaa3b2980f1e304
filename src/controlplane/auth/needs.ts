import type { Principal, Role } from './identity.ts';

/** What one may do with an agent. Each includes those before it. */
export const agentLevels = ['view', 'use', 'own'] as const;
export type AgentLevel = (typeof agentLevels)[number];

/** What a key may be made for. `use` includes `view`, `own` both; `administer` includes `oversee`. */
export const scopes = [...agentLevels, 'oversee', 'administer'] as const;
export type Scope = (typeof scopes)[number];

interface NeedRow {
  /** What a call of this need does. */
  readonly what: string;
  /** Who may at all. */
  readonly roles: readonly Role[];
  /** What a narrowed key must have; null: nothing. */
  readonly scope: Scope | null;
  /** Whether a key for named agents may. */
  readonly forAgentKeys: boolean;
  /** Whether it needs what can make keys: the key in the data directory. */
  readonly issues: boolean;
}

const withAgents = ['admin', 'member'] as const;

/** Everything that a call can need, in one place. What has no need declared is refused. */
export const needs = {
  nothing: {
    what: 'needs no key',
    roles: ['admin', 'member', 'auditor'],
    scope: null,
    forAgentKeys: true,
    issues: false,
  },
  self: {
    what: 'is about the caller',
    roles: ['admin', 'member', 'auditor'],
    scope: null,
    forAgentKeys: true,
    issues: false,
  },
  list: {
    what: 'shows what the caller may view',
    roles: withAgents,
    scope: 'view',
    forAgentKeys: true,
    issues: false,
  },
  view: { what: 'looks at an agent', roles: withAgents, scope: 'view', forAgentKeys: true, issues: false },
  use: { what: 'acts with an agent', roles: withAgents, scope: 'use', forAgentKeys: true, issues: false },
  own: { what: 'disposes of an agent', roles: withAgents, scope: 'own', forAgentKeys: true, issues: false },
  create: { what: 'makes an agent', roles: withAgents, scope: 'own', forAgentKeys: false, issues: false },
  oversee: {
    what: 'looks at people, numbers and the audit',
    roles: ['admin', 'auditor'],
    scope: 'oversee',
    forAgentKeys: false,
    issues: false,
  },
  administer: {
    what: 'changes people, and stops sandboxes of others',
    roles: ['admin'],
    scope: 'administer',
    forAgentKeys: false,
    issues: false,
  },
  appoint: { what: 'lets people in', roles: ['admin'], scope: 'administer', forAgentKeys: false, issues: true },
} as const satisfies Record<string, NeedRow>;

export type Need = keyof typeof needs;

/** Why the caller, whatever it asks about, may not do what has this need; undefined when it may. */
export function refusalOf(
  principal: Pick<Principal, 'role' | 'scopes' | 'agents' | 'mayIssue'>,
  need: Need,
): string | undefined {
  const row: NeedRow = needs[need];
  if (!row.roles.includes(principal.role)) return `The role ${principal.role} does not allow this.`;
  if (row.scope !== null && !covers(principal.scopes, row.scope)) return `The API key lacks the scope ${row.scope}.`;
  if (!row.forAgentKeys && principal.agents !== null) return 'The API key is for named agents only.';
  if (row.issues && !principal.mayIssue) return 'An API key cannot make keys.';
  return undefined;
}

export function isAtLeast(level: AgentLevel, wanted: AgentLevel): boolean {
  return agentLevels.indexOf(level) >= agentLevels.indexOf(wanted);
}

/** Whether a key of these scopes may be used for what needs `wanted`. */
export function covers(held: readonly Scope[] | null, wanted: Scope): boolean {
  return held === null || held.some((scope) => scope === wanted || included[scope].includes(wanted));
}

/** The scopes that come with one. */
const included = {
  view: [],
  use: ['view'],
  own: ['view', 'use'],
  oversee: [],
  administer: ['oversee'],
} as const satisfies Record<Scope, readonly Scope[]> as Record<Scope, readonly Scope[]>;
