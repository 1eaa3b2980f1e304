import type { ApiKey } from './identity.ts';

/** Whether a key that is not revoked is all that its user is, for ever: nothing narrows it, and it does not expire. */
export function isFull({ revokedAt, expiresAt, scopes, agents }: ApiKey): boolean {
  return revokedAt === null && expiresAt === null && scopes === null && agents === null;
}
