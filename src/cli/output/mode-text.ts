import type { FileInfo } from '../../client/index.ts';

const signs = { file: '-', directory: 'd', link: 'l', other: '?' } as const;

/** The type and mode of a file as `ls -l` shows them, e.g. `-rw-r--r--`. */
export function modeText({ type, mode }: Pick<FileInfo, 'type' | 'mode'>): string {
  const bits = 'rwxrwxrwx'.split('').map((sign, i) => ((mode & (0o400 >> i)) === 0 ? '-' : sign));
  for (const [bit, at, sign] of specialBits) {
    if ((mode & bit) !== 0) bits[at] = bits[at] === 'x' ? sign : sign.toUpperCase();
  }
  return `${signs[type]}${bits.join('')}`;
}

/** setuid, setgid and sticky, in the place of an `x`. */
const specialBits = [
  [0o4000, 2, 's'],
  [0o2000, 5, 's'],
  [0o1000, 8, 't'],
] as const;
