import { accessSync, constants, opendirSync, renameSync, rmdirSync } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import type { Pin } from './confinement.ts';
import { onFile } from './errno.ts';
import { Pacer } from './pacer.ts';

const { W_OK, X_OK } = constants;
/** Names that are read from the kernel in one go. */
const bufferSize = 1_024;

/**
 * Moves all that is in one pinned folder into another on the same disk, by a rename each: what is not there yet, a folder with all
 * that is in it, and files and links over files and links. A folder that is there keeps what else is in it. NOT_A_DIRECTORY or
 * PATH_FORBIDDEN for a folder where there is a file or a link, IS_A_DIRECTORY for a file or link where there is a folder: looked for
 * everywhere first, so that nothing is moved then; what is put in the way after that stops it there. Through descriptors: a link that is put in the way leads nowhere.
 */
export async function mergeFolder(from: Pin, into: Pin, signal: AbortSignal): Promise<void> {
  await merge(from, into, false, new Pacer(signal));
  await merge(from, into, true, new Pacer()); // all of it, once it has begun
}

async function merge(from: Pin, into: Pin, mayMove: boolean, pacer: Pacer): Promise<void> {
  onFile(into.path, () => accessSync(into.via, W_OK | X_OK));
  // Where the disk counts the folders in a folder, two links are its own: there is none in it.
  const mayHoldFolders = into.stat().nlink !== 2n;
  // The types of Node know no buffers here, though `encoding: 'buffer'` gives them.
  using entries = onFile(from.path, () => opendirSync(from.via, { encoding: 'buffer' as BufferEncoding, bufferSize }));
  for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
    if (pacer.isDue) await pacer.rest();
    const name = Buffer.from(entry.name);
    if (entry.isDirectory() && into.lookUp(name) !== undefined) {
      using below = from.pinChild(name, { folder: true });
      using target = into.pinChild(name, { folder: true });
      await merge(below, target, mayMove, pacer);
      if (mayMove) onFile(target.path, () => rmdirSync(from.child(name))); // it is empty, or not all was moved
    } else if (mayMove) onFile(into.path, () => renameSync(from.child(name), into.child(name)));
    else if (mayHoldFolders && !entry.isDirectory() && into.lookUp(name)?.isDirectory() === true) {
      const path = pathFromBytes(Buffer.concat([into.path.bytes, Buffer.from('/'), name]));
      throw new CaissonError('IS_A_DIRECTORY', `${JSON.stringify(path)} is a folder, and no folder in the archive.`, {
        details: { path },
      });
    }
  }
}
