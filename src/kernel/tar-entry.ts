/** What an archive holds for one name. Names are bytes, relative, with `/` between their parts and none at the end. */
export interface TarEntry {
  readonly name: Buffer;
  readonly type: TarEntryType;
  /** Permission bits. */
  readonly mode: number;
  /** Of the content that follows; 0 for all but files. */
  readonly size: number;
  /** Seconds since the epoch. */
  readonly modifiedAt: number;
  /** Where a link leads. For a hard link, the name of an entry before it. */
  readonly target: Buffer | null;
}

export type TarEntryType = 'file' | 'directory' | 'symbolic-link' | 'hard-link' | 'device' | 'fifo';

/** Everything in an archive is padded to this. */
export const tarBlockBytes = 512;

/** How much follows `size` bytes of content to the next block. */
export function tarPadding(size: number): number {
  return (tarBlockBytes - (size % tarBlockBytes)) % tarBlockBytes;
}

/** Two empty blocks. */
export const tarEnd: Buffer = Buffer.alloc(2 * tarBlockBytes);
