import { createHash } from 'node:crypto';

/** The first 16 hexadecimal digits of the SHA-256 over all parts, each with its length, so that no two lists read the same. */
export function contentHash(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex').slice(0, 16);
}
