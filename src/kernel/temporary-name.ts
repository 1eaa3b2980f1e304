import { randomBytes } from 'node:crypto';

/**
 * What a file is called until all of it has come, in the folder of the one that it becomes. Random, so that nobody can have put
 * something in its way; short, so that it fits wherever a name fits.
 */
export function temporaryName(): Buffer {
  return Buffer.from(`.caisson-${randomBytes(8).toString('hex')}.part`);
}

/** Watches do not tell of them, and archives and checkpoints do not hold them. */
export function isTemporaryName(name: Uint8Array): boolean {
  return pattern.test(Buffer.from(name).toString('latin1'));
}

/** The same, for `.gitignore`. */
export const temporaryNameGlob = `.caisson-${'[0-9a-f]'.repeat(16)}.part`;

const pattern = /^\.caisson-[0-9a-f]{16}\.part$/;
