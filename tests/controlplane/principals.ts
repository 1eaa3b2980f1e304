import type { Principal, Role } from '../../src/controlplane/auth/identity.ts';
import { newKeyId, newUserId } from '../../src/kernel/ids.ts';

/** Of a key that nothing narrows, and that makes no others. */
export const fullKey = { scopes: null, agents: null, mayIssue: false, signedInBy: null } as const;

export function aPrincipal(userName = 'alice', role: Role = 'member'): Principal {
  return { userId: newUserId(), userName, role, keyId: newKeyId(), ...fullKey };
}
