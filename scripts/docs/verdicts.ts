import type { Role } from '../../src/controlplane/auth/identity.ts';
import { type AgentLevel, agentLevels, isAtLeast, type Need, refusalOf } from '../../src/controlplane/auth/needs.ts';
import { shareLevels } from '../../src/controlplane/auth/sharing.ts';

/** How one stands to an agent: those whom the matrix of the tests and the table of the documents ask about. */
export const standings = {
  admin: { role: 'admin', level: 'own' },
  owner: { role: 'member', level: 'own' },
  editor: { role: 'member', level: shareLevels.editor },
  viewer: { role: 'member', level: shareLevels.viewer },
  stranger: { role: 'member', level: undefined },
  auditor: { role: 'auditor', level: undefined },
} as const satisfies Record<string, { readonly role: Role; readonly level: AgentLevel | undefined }>;

export type Standing = keyof typeof standings;

/** `yes`; what it may see and not do is `FORBIDDEN`; what it may not see is `NOT_FOUND`. */
export type Verdict = 'yes' | 'FORBIDDEN' | 'NOT_FOUND';

/** What is answered to somebody with a key that nothing narrows; the administrator's is that of the data directory. */
export function verdictOf(need: Need, standing: Standing): Verdict {
  const { role, level } = standings[standing];
  const key = { scopes: null, agents: null, mayIssue: role === 'admin' };
  if (refusalOf({ role, ...key }, need) !== undefined) return 'FORBIDDEN';
  const wanted = agentLevels.find((each) => each === need);
  if (wanted === undefined) return 'yes';
  if (level === undefined) return 'NOT_FOUND';
  return isAtLeast(level, wanted) ? 'yes' : 'FORBIDDEN';
}
