export const slash = 0x2f;

export function isUp(part: Buffer): boolean {
  return part.toString('latin1') === '..';
}

/** Whether this machine takes a name for a name. Windows knows other separators, drives, streams, and dots that do not count. */
export function isPlainHere(part: Buffer): boolean {
  return process.platform !== 'win32' || !/[\\:]|[. ]$/.test(part.toString('latin1'));
}

/** Without those that mean nothing: empty ones and `.`. */
export function split(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (const part of path.toString('latin1').split('/')) {
    if (part !== '' && part !== '.') parts.push(Buffer.from(part, 'latin1'));
  }
  return parts;
}
