import { createHash, randomBytes } from 'node:crypto';

/** A new invitation: `ci_` and 256 bits of chance as 43 characters of base64url. */
export function newInvitation(): string {
  return `ci_${randomBytes(32).toString('base64url')}`;
}

/** What is stored of an invitation. It has 256 bits of chance, so it needs no salt and no slow hash. */
export function hashInvitation(invitation: string): string {
  return createHash('sha256').update(invitation).digest('hex');
}
