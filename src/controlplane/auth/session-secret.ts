import { randomBytes } from 'node:crypto';

const secretPattern = /^cs_[A-Za-z0-9_-]{43}$/;

/** What the cookie of a session holds: `cs_` and 256 bits of chance. Never taken in the place of an API key. */
export function newSessionSecret(): string {
  return `cs_${randomBytes(32).toString('base64url')}`;
}

export function isSessionSecret(text: string): boolean {
  return secretPattern.test(text);
}
