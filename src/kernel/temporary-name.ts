import { randomUUID } from 'node:crypto';

/**
 * What a file is called until all of it has come, in the folder of the one that it becomes. Random, so that nobody can have put
 * something in its way; short, so that it fits wherever a name fits. From digits of a UUID that are all random: Node draws the
 * bytes of many at once, so that a name takes 0.4 us, and with eight bytes of its own 1.7.
 */
export function temporaryName(): Buffer {
  const random = randomUUID();
  return Buffer.from(`.caisson-${random.slice(24)}${random.slice(9, 13)}.part`);
}

/** Watches do not tell of them, and archives and checkpoints do not hold them. */
export function isTemporaryName(name: Uint8Array): boolean {
  return name.length === nameBytes && pattern.test(Buffer.from(name).toString('latin1'));
}

/** The same, for `.gitignore`. */
export const temporaryNameGlob = `.caisson-${'[0-9a-f]'.repeat(16)}.part`;

const nameBytes = '.caisson-0123456789abcdef.part'.length;
const pattern = /^\.caisson-[0-9a-f]{16}\.part$/;
