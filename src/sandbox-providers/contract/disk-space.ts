import { statfs } from 'node:fs/promises';
import type { DiskSpace } from './sandbox-provider.ts';

/** Of the disk that a folder of this machine is on. */
export async function diskSpaceAt(path: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(path);
  const inodes = files === 0 ? null : { free: ffree, total: files };
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, inodes };
}
