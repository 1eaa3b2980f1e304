import { type BigIntStats, readlinkSync } from 'node:fs';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { type FileInfo, maxTimeMs } from '../../wire/contract/files.ts';

/** What is told about a file. `via` leads to it, for a link's target. */
export function fileInfo(path: string, stats: BigIntStats, via: () => Buffer | string): FileInfo {
  const type = typeOf(stats);
  return {
    path,
    type,
    size: Number(stats.size),
    mode: Number(stats.mode) & 0o7777,
    modifiedAt: milliseconds(stats.mtimeNs),
    changedAt: milliseconds(stats.ctimeNs),
    createdAt: milliseconds(stats.birthtimeNs),
    target: type === 'link' ? targetOf(via()) : null,
    etag: etagOf(stats),
  };
}

export function typeOf(stats: Pick<BigIntStats, 'isFile' | 'isDirectory' | 'isSymbolicLink'>): FileInfo['type'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}

/**
 * Which content a file has: its inode, size and times. The time of change cannot be set by anybody, so content that is put
 * back with its old time counts as another.
 */
export function etagOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `"${ino.toString(36)}-${size.toString(36)}-${mtimeNs.toString(36)}-${ctimeNs.toString(36)}"`;
}

/** To the microsecond, which is as much as a number holds. */
function milliseconds(nanoseconds: bigint): number {
  return Math.min(Math.max(-maxTimeMs, Number(nanoseconds / 1_000n) / 1_000), maxTimeMs);
}

function targetOf(via: Buffer | string): string | null {
  try {
    return pathFromBytes(readlinkSync(via, { encoding: 'buffer' }));
  } catch {
    return null; // replaced since: the next look tells what it is now
  }
}
