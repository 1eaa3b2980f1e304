import {
  constants,
  chmodSync,
  lstatSync,
  linkSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { temporaryName } from '../../kernel/temporary-name.ts';
import type { FileInfo } from '../../wire/contract/files.ts';
import type { BoundedWork } from '../bounded-work.ts';
import { type Confinement, type Pin, Place } from './confinement.ts';
import { errnoOf, fileError, onFile, onFileLater } from './errno.ts';
import { fileInfo, typeOf } from './file-info.ts';
import { Pacer } from './pacer.ts';
import { removePlace } from './remove.ts';
import { isWithin, type SandboxPath } from './sandbox-path.ts';
import { walk } from './walk.ts';

export interface Transfer {
  readonly from: SandboxPath;
  readonly to: SandboxPath;
  /** Whether a file that is at `to` is replaced. A folder never is. */
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
  /** Of which few are under way at a time. A rename is none. */
  readonly copies: BoundedWork;
}

/**
 * Renames a file, link or folder. Between two roots, which are different file systems, it is copied and then removed. FILE_EXISTS
 * when there is something at `to`, unless it is a file that may be overwritten.
 */
export async function move(confinement: Confinement, transfer: Transfer): Promise<FileInfo> {
  using source = confinement.place(transfer.from);
  using target = confinement.place(transfer.to);
  const stats = onFile(transfer.from.text, () => lstatSync(source.via, { bigint: true }));
  requireRoom(source, target, transfer);
  try {
    putInPlace(source.via, target, transfer.overwrite || stats.isDirectory());
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EXDEV') throw fileError(thrown, transfer.to.text);
    await transfer.copies.run(async () => {
      await copyInto(source, target, transfer);
      await removePlace(source, true, transfer.signal);
    }, transfer.signal);
  }
  return infoOf(target);
}

/**
 * Copies a file, link or folder with all that is in it; modes and times of files are kept, links stay links, pipes, sockets
 * and devices are left out. The copy appears under its name when it is whole. FILE_EXISTS as with `move`.
 */
export async function copy(confinement: Confinement, transfer: Transfer): Promise<FileInfo> {
  using source = confinement.place(transfer.from);
  using target = confinement.place(transfer.to);
  requireRoom(source, target, transfer);
  await transfer.copies.run(() => copyInto(source, target, transfer), transfer.signal);
  return infoOf(target);
}

/** Under a temporary name first. */
async function copyInto(source: Place, target: Place, { overwrite, signal }: Transfer): Promise<void> {
  const { text } = target.path;
  const half = new Place(target.folder, temporaryName(), target.path);
  const pacer = new Pacer(signal);
  try {
    const isFolder = await copyOne(source.folder, source.name, target.folder, half.name, text, true);
    if (isFolder) {
      using from = source.pin();
      using to = half.pin();
      await copyAll(from, to, text, pacer);
    }
    onFile(text, () => putInPlace(half.via, target, overwrite || isFolder));
  } catch (thrown) {
    if (half.lookUp() !== undefined) await removePlace(half, true, new AbortController().signal);
    throw thrown;
  }
}

async function copyAll(from: Pin, to: Pin, text: string, pacer: Pacer): Promise<void> {
  // The folder that is being filled, and those above it: as deep as the walk is.
  const open: Pin[] = [to];
  try {
    await walk(
      from,
      {
        async enter(folder, name, depth) {
          while (open.length > depth) open.pop()?.[Symbol.dispose]();
          const into = open.at(-1) ?? to;
          const isFolder = await copyOne(folder, name, into, name, text, false);
          if (isFolder) open.push(into.pinChild(name, { folder: true }));
          return isFolder;
        },
      },
      pacer,
    );
  } finally {
    for (const pin of open.slice(1)) pin[Symbol.dispose]();
  }
}

/** Copies what has `name` in `folder`, without what is in it; returns whether it is a folder. */
async function copyOne(
  folder: Pin,
  name: Buffer,
  into: Pin,
  newName: Buffer,
  text: string,
  isTop: boolean,
): Promise<boolean> {
  const target = into.child(newName);
  return await onFileLater(text, async () => {
    using source = folder.pinChild(name);
    const stats = source.stat();
    const mode = Number(stats.mode) & 0o777;
    switch (typeOf(stats)) {
      case 'file':
        await copyFile(source.via, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
        chmodSync(target, mode);
        utimesSync(target, Number(stats.atimeMs) / 1_000, Number(stats.mtimeMs) / 1_000);
        return false;
      case 'directory':
        mkdirSync(target, { mode: mode | 0o700 });
        return true;
      case 'link':
        symlinkSync(readlinkSync(folder.child(name), { encoding: 'buffer' }), target);
        return false;
      case 'other':
        if (!isTop) return false;
        throw new CaissonError('NOT_A_REGULAR_FILE', `${JSON.stringify(text)} is a pipe, a socket or a device.`);
    }
  });
}

function requireRoom(source: Place, target: Place, { from, to, overwrite }: Transfer): void {
  const there = target.lookUp();
  const here = source.lookUp();
  if (here?.isDirectory() === true) {
    using folder = source.pin();
    if (isWithin(target.folder.location(), folder.location())) {
      throw new CaissonError('BAD_REQUEST', `${JSON.stringify(to.text)} lies in ${JSON.stringify(from.text)} itself.`);
    }
  }
  if (there === undefined) return;
  const mayReplace = overwrite && !there.isDirectory() && here?.isDirectory() !== true;
  if (mayReplace) return;
  throw new CaissonError('FILE_EXISTS', `${JSON.stringify(to.text)} exists already.`, {
    ...(there.isDirectory() ? { hint: 'A folder is not replaced. Remove it first, or name a path in it.' } : {}),
    details: { path: to.text },
  });
}

/** By one system call. With `replace: false` it fails with EEXIST where something came into being since. */
function putInPlace(from: Buffer, target: Place, replace: boolean): void {
  if (replace || lstatSync(from).isSymbolicLink()) {
    renameSync(from, target.via);
    return;
  }
  linkSync(from, target.via);
  unlinkSync(from);
}

function infoOf(place: Place): FileInfo {
  const stats = onFile(place.path.text, () => lstatSync(place.via, { bigint: true }));
  return fileInfo(pathFromBytes(place.path.bytes), stats, () => place.via);
}
