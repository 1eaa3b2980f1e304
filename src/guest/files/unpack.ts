import {
  closeSync,
  fchmodSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  constants,
} from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { ByteSource } from '../../kernel/byte-source.ts';
import { readTarEntry, skipTarPadding } from '../../kernel/tar-decode.ts';
import type { TarEntry } from '../../kernel/tar-entry.ts';
import { temporaryName } from '../../kernel/temporary-name.ts';
import { type FilesUnpacked, maxDepth, maxPathBytes } from '../../wire/contract/files.ts';
import type { Confinement, Pin } from './confinement.ts';
import { errnoOf, onFile } from './errno.ts';
import { FolderChain } from './folder-chain.ts';
import { Pacer } from './pacer.ts';
import { splitPath } from './sandbox-path.ts';
import { discard, writeAll } from './write-file.ts';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
/** Content is taken in pieces of this. */
const pieceBytes = 256 * 1024;

/**
 * Unpacks a tar archive into a pinned folder. PATH_FORBIDDEN, and it stops there, for an entry with an absolute name or
 * `..`, one whose folder is a link, a link that leads out of the roots, and a device or pipe; what came before stays. A file
 * replaces one of its name, when it is whole. Owners, and bits such as setuid, are not taken over.
 */
export async function unpackTar(
  confinement: Confinement,
  folder: Pin,
  content: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<FilesUnpacked> {
  const source = new ByteSource(content);
  const pacer = new Pacer(signal);
  const counts = { files: 0, folders: 0, links: 0, bytes: 0 };
  using folders = new FolderChain(folder);
  for (let entry = await readTarEntry(source); entry !== undefined; entry = await readTarEntry(source)) {
    const parts = checkedParts(entry);
    const name = parts.at(-1);
    const shown = pathFromBytes(entry.name);
    if (name !== undefined) {
      const parent = onFile(shown, () => folders.go(parts.slice(0, -1)));
      await unpackOne({ confinement, root: folder, folders, parent, name, shown, entry, source });
      if (entry.type === 'file') counts.files += 1;
      else if (entry.type === 'directory') counts.folders += 1;
      else counts.links += 1;
      counts.bytes += entry.size;
    }
    if (pacer.isDue) await pacer.rest();
  }
  return counts;
}

interface Unpacking {
  readonly confinement: Confinement;
  readonly root: Pin;
  readonly folders: FolderChain;
  readonly parent: Pin;
  readonly name: Buffer;
  readonly shown: string;
  readonly entry: TarEntry;
  readonly source: ByteSource;
}

async function unpackOne(unpacking: Unpacking): Promise<void> {
  const { confinement, parent, name, shown, entry } = unpacking;
  const target = parent.child(name);
  switch (entry.type) {
    case 'file':
      await unpackFile(unpacking, target);
      return;
    case 'directory':
      onFile(shown, () => makeOrKeep(parent, name, entry.mode));
      return;
    case 'symbolic-link':
      checkLink(confinement, parent, entry, shown);
      onFile(shown, () => replace(target, (path) => symlinkSync(entry.target ?? '', path), parent));
      return;
    case 'hard-link':
      unpackHardLink(unpacking, target);
      return;
    case 'device':
    case 'fifo':
      throw refused(shown, 'is a device or a pipe');
  }
}

async function unpackFile({ parent, shown, entry, source }: Unpacking, target: Buffer): Promise<void> {
  const temporary = parent.child(temporaryName());
  const fd = onFile(shown, () => openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
  let isPending = true;
  try {
    for (let left = entry.size; left > 0;) {
      const piece = await source.some(Math.min(left, pieceBytes));
      if (piece.length === 0)
        throw new CaissonError('BAD_REQUEST', `The archive breaks off in ${JSON.stringify(shown)}.`);
      onFile(shown, () => writeAll(fd, piece));
      left -= piece.length;
    }
    await skipTarPadding(source, entry.size);
    onFile(shown, () => {
      fchmodSync(fd, entry.mode & 0o777);
      futimesSync(fd, entry.modifiedAt, entry.modifiedAt);
      renameSync(temporary, target);
    });
    isPending = false;
  } finally {
    closeSync(fd);
    if (isPending) discard(temporary);
  }
}

/** Its target is an entry of the archive: it is looked for from the top, through no link. */
function unpackHardLink({ root, parent, shown, entry }: Unpacking, target: Buffer): void {
  const parts = checkedParts({ ...entry, name: entry.target ?? Buffer.alloc(0) });
  const last = parts.at(-1);
  if (last === undefined) throw refused(shown, 'is a link to nothing');
  using chain = new FolderChain(root);
  onFile(shown, () => {
    const from = chain.find(parts.slice(0, -1));
    using pinned = from.pinChild(last);
    if (!pinned.stat().isFile()) throw refused(shown, 'is a hard link to something that is no file');
    replace(target, (path) => linkSync(from.child(last), path), parent);
  });
}

/** Makes what replaces a file or link of the same name, by a rename. */
function replace(target: Buffer, make: (path: Buffer) => void, parent: Pin): void {
  const temporary = parent.child(temporaryName());
  make(temporary);
  try {
    renameSync(temporary, target);
  } finally {
    discard(temporary); // also of two names of one file, which a rename does not exchange
  }
}

function makeOrKeep(parent: Pin, name: Buffer, mode: number): void {
  try {
    mkdirSync(parent.child(name), { mode: (mode & 0o777) | 0o700 });
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    parent.pinChild(name, { folder: true })[Symbol.dispose](); // a folder that is there stays as it is; a link is refused
  }
}

/** The parts of an entry's name; none for the folder itself. */
function checkedParts({ name }: TarEntry): readonly Buffer[] {
  const shown = pathFromBytes(name.subarray(0, 1_000));
  if (name[0] === slash) throw refused(shown, 'has an absolute name');
  if (name.includes(0)) throw refused(shown, 'has a NUL byte in its name');
  const parts = splitPath(name);
  if (parts.some((part) => part.toString('latin1') === '..')) throw refused(shown, 'has ".." in its name');
  if (parts.length > maxDepth || name.length > maxPathBytes) throw refused(shown, 'has a name that is too long');
  return parts;
}

/** By its text: from the folder that it is in, or absolute. Whoever follows it is checked again. */
function checkLink(confinement: Confinement, parent: Pin, { target }: TarEntry, shown: string): void {
  if (target === null || target.length === 0) throw refused(shown, 'is a link to nothing');
  const parts: Buffer[] = target[0] === slash ? [] : splitPath(readlinkSync(parent.via, { encoding: 'buffer' }));
  for (const part of splitPath(target)) {
    if (part.toString('latin1') === '..') parts.pop();
    else parts.push(part);
  }
  const absolute = Buffer.concat(parts.flatMap((part) => [Buffer.from('/'), part]));
  if (!confinement.mayLeadTo(absolute)) throw refused(shown, 'is a link that leads out');
}

function refused(shown: string, why: string): CaissonError {
  return new CaissonError('PATH_FORBIDDEN', `The archive was not unpacked further: ${JSON.stringify(shown)} ${why}.`, {
    hint: 'Leave it out of the archive.',
    details: { entry: shown },
  });
}

const slash = 0x2f;
