import { hash, randomBytes } from 'node:crypto';

const secretPattern = /^ck_[A-Za-z0-9_-]{43}$/;

/** A new key: `ck_` and 256 bits of chance as 43 characters of base64url. */
export function newKeySecret(): string {
  return `ck_${randomBytes(32).toString('base64url')}`;
}

export function isKeySecret(text: string): boolean {
  return secretPattern.test(text);
}

/**
 * What is stored of a key: SHA-256 as hex. A key has 256 bits of chance, so it needs no salt and no slow hash, and since
 * it is found by its hash, the time of the comparison tells nothing about it.
 */
export function hashKeySecret(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** The characters of a key that are kept in clear, to tell keys apart: 36 bits of it stay visible. */
export function keyPrefix(secret: string): string {
  return secret.slice(0, 9);
}
