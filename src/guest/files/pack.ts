import { closeSync, constants, fstatSync, openSync, read, readlinkSync, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { CaissonError } from '../../kernel/errors.ts';
import { encodeTarHeader } from '../../kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../kernel/tar-entry.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';
import type { ArchiveOutput } from './archive-output.ts';
import type { Pin } from './confinement.ts';
import { onFile } from './errno.ts';
import { typeOf } from './file-info.ts';
import { Pacer } from './pacer.ts';
import type { SandboxPath } from './sandbox-path.ts';
import { walk } from './walk.ts';

const wholeBytes = 256 * 1024;
const readLater = promisify(read);
const { O_RDONLY, O_NONBLOCK } = constants;

/**
 * Sends what is in `folder` as a tar archive, with names relative to it. Links are stored as links; pipes, sockets, devices
 * and unfinished uploads are left out. A file that changes while it is read keeps the length that it had at its beginning:
 * throws, and so cuts the archive, where it has become shorter. FILE_ACCESS_DENIED names what may not be read.
 */
export async function packTar(folder: Pin, out: ArchiveOutput, gone: AbortSignal): Promise<void> {
  const above = folder.path.bytes.length + 1;
  await walk(
    folder,
    {
      async enter(parent, name) {
        if (isTemporaryName(name)) return false;
        return await packOne(parent, name, above, out);
      },
    },
    new Pacer(gone),
  );
  out.add(tarEnd);
  await out.finish();
}

/** Returns whether it is a folder. Of its path, what is `above` the archive is no part of its name there. */
async function packOne(parent: Pin, name: Buffer, above: number, out: ArchiveOutput): Promise<boolean> {
  using held = pinPresent(parent, name);
  if (held === undefined) return false;
  const { path } = held;
  const stats = fstatSync(held.fd);
  const about = { name: path.bytes.subarray(above), mode: stats.mode & 0o777, modifiedAt: stats.mtimeMs / 1_000 };
  switch (typeOf(stats)) {
    case 'directory':
      out.add(encodeTarHeader({ ...about, type: 'directory', size: 0, target: null }));
      break;
    case 'link': {
      const target = onFile(path, () => readlinkSync(parent.child(name), { encoding: 'buffer' }));
      out.add(encodeTarHeader({ ...about, type: 'symbolic-link', size: 0, target }));
      break;
    }
    case 'file': {
      const { size } = stats;
      const fd = onFile(path, () => openSync(held.via, O_RDONLY | O_NONBLOCK));
      try {
        out.add(encodeTarHeader({ ...about, type: 'file', size, target: null }));
        await addContent(fd, size, path, out);
      } finally {
        closeSync(fd);
      }
      break;
    }
    case 'other':
      break;
  }
  if (out.isFull) await out.flush();
  return stats.isDirectory();
}

async function addContent(fd: number, size: number, path: SandboxPath, out: ArchiveOutput): Promise<void> {
  for (let at = 0; at < size;) {
    const piece = Buffer.allocUnsafe(Math.min(size - at, wholeBytes));
    const count =
      size <= wholeBytes
        ? readSync(fd, piece, 0, piece.length, at)
        : (await readLater(fd, piece, 0, piece.length, at)).bytesRead;
    if (count === 0) {
      throw new CaissonError('FILE_CHANGED', `${JSON.stringify(path.text)} has become shorter while it was read.`, {
        details: { path: path.text },
      });
    }
    out.add(piece.subarray(0, count));
    at += count;
    if (out.isFull) await out.flush();
  }
  const padding = tarPadding(size);
  if (padding > 0) out.add(tarEnd.subarray(0, padding));
}

/** Undefined for what is gone since it was seen: it is not in the archive. */
export function pinPresent(parent: Pin, name: Buffer): Pin | undefined {
  try {
    return parent.pinChild(name);
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'FILE_NOT_FOUND') return undefined;
    throw thrown;
  }
}
