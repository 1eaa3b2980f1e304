import {
  closeSync,
  fchmodSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  constants,
} from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { ByteSource } from '../../kernel/byte-source.ts';
import { readTarEntry, skipTarPadding } from '../../kernel/tar-decode.ts';
import { type TarEntry, tarPadding } from '../../kernel/tar-entry.ts';
import { temporaryName } from '../../kernel/temporary-name.ts';
import { type FilesUnpacked, maxDepth, maxPathBytes } from '../../wire/contract/files.ts';
import { type Confinement, type Pin, Place } from './confinement.ts';
import { errnoOf, onFile } from './errno.ts';
import { FolderChain } from './folder-chain.ts';
import { mergeFolder } from './merge-folder.ts';
import { Pacer } from './pacer.ts';
import { removePlace } from './remove.ts';
import type { RequestBody } from './request-body.ts';
import { splitPath } from './sandbox-path.ts';
import { writeAll } from './write-file.ts';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
/** Content is taken in pieces of this. */
const pieceBytes = 256 * 1024;

/**
 * Unpacks a tar archive into a pinned folder, where nothing of it appears before all of it is good: it is unpacked beside, in a
 * folder with a temporary name, and then put in its place by renames. Files and links replace those of their names; a folder that
 * is there keeps its mode, and what else is in it. PATH_FORBIDDEN for an entry with an absolute name or `..`, one whose folder is a
 * link, a link that leads out of the roots, and a device or pipe; FILE_NOT_FOUND for a hard link to what the archive does not hold
 * before it. Owners, and bits such as setuid, are not taken over.
 */
export async function unpackTar(
  confinement: Confinement,
  folder: Pin,
  body: RequestBody,
  signal: AbortSignal,
): Promise<FilesUnpacked> {
  const place = new Place(folder, temporaryName(), folder.path);
  onFile(folder.path, () => mkdirSync(place.via, { mode: 0o700 }));
  try {
    using staging = place.pin();
    const counts = await unpackInto(confinement, { folder, staging }, body.chunks(), new Pacer(signal));
    await body.finish();
    await mergeFolder(staging, folder, signal);
    onFile(folder.path, () => rmdirSync(place.via)); // it is empty, or not all was moved; or all of it went away with its folder
    return counts;
  } finally {
    await removeLeftovers(place);
  }
}

/** Also of what the caller has given up. Where somebody is in the way they stay, until the next guest sweeps them up. */
async function removeLeftovers(place: Place): Promise<void> {
  try {
    await removePlace(place, true, new AbortController().signal);
  } catch (thrown) {
    if (!(thrown instanceof CaissonError)) throw thrown;
  }
}

async function unpackInto(
  confinement: Confinement,
  { folder, staging }: { readonly folder: Pin; readonly staging: Pin },
  content: AsyncIterable<Buffer>,
  pacer: Pacer,
): Promise<FilesUnpacked> {
  const source = new ByteSource(content);
  const counts = { files: 0, folders: 0, links: 0, bytes: 0 };
  using folders = new FolderChain(staging);
  for (let entry = await readTarEntry(source); entry !== undefined; entry = await readTarEntry(source)) {
    const parts = checkedParts(entry);
    const name = parts.at(-1);
    if (name !== undefined) {
      const about = aboutEntry(entry);
      const parent = onFile(about, () => folders.go(parts.slice(0, -1)));
      const target = parent.child(name);
      const unpacking = { confinement, folder, staging, parent, parts, target, entry, about, source };
      if (!unpackOne(unpacking)) await unpackFile(unpacking);
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
  /** Where it will be. */
  readonly folder: Pin;
  /** Where it is until then. */
  readonly staging: Pin;
  readonly parent: Pin;
  readonly parts: readonly Buffer[];
  readonly target: Buffer;
  readonly entry: TarEntry;
  readonly about: { readonly text: string };
  readonly source: ByteSource;
}

/** Without a wait, which costs more than it; false for a file whose content is not all here yet. */
function unpackOne(unpacking: Unpacking): boolean {
  const { parent, parts, target, entry, about, source } = unpacking;
  switch (entry.type) {
    case 'file': {
      const whole = source.takeHere(entry.size + tarPadding(entry.size));
      if (whole === undefined) return false;
      onFile(about, () => unpackWhole(target, whole, entry));
      return true;
    }
    case 'directory':
      onFile(about, () => makeOrKeep(parent, parts.at(-1) ?? Buffer.alloc(0), entry.mode));
      return true;
    case 'symbolic-link':
      checkLink(unpacking);
      onFile(about, () => anew(target, () => symlinkSync(entry.target ?? '', target)));
      return true;
    case 'hard-link':
      unpackHardLink(unpacking);
      return true;
    case 'device':
    case 'fifo':
      throw refused(entry, 'is a device or a pipe');
  }
}

function unpackWhole(target: Buffer, content: Buffer, entry: TarEntry): void {
  const fd = openAnew(target);
  try {
    writeAll(fd, content.subarray(0, entry.size));
    finish(fd, entry);
  } finally {
    closeSync(fd);
  }
}

async function unpackFile({ target, entry, about, source }: Unpacking): Promise<void> {
  const fd = onFile(about, () => openAnew(target));
  try {
    for (let left = entry.size; left > 0;) {
      const piece = await source.some(Math.min(left, pieceBytes));
      if (piece.length === 0)
        throw new CaissonError('BAD_REQUEST', `The archive breaks off in ${JSON.stringify(about.text)}.`);
      onFile(about, () => writeAll(fd, piece));
      left -= piece.length;
    }
    await skipTarPadding(source, entry.size);
    onFile(about, () => finish(fd, entry));
  } finally {
    closeSync(fd);
  }
}

function openAnew(target: Buffer): number {
  return anew(target, () => openSync(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
}

function finish(fd: number, { mode, modifiedAt }: TarEntry): void {
  fchmodSync(fd, mode & 0o777);
  futimesSync(fd, modifiedAt, modifiedAt);
}

/** Its target is an entry of the archive: it is looked for from the top, through no link. */
function unpackHardLink({ staging, target, entry, about }: Unpacking): void {
  const parts = checkedParts({ ...entry, name: entry.target ?? Buffer.alloc(0) });
  const last = parts.at(-1);
  if (last === undefined) throw refused(entry, 'is a link to nothing');
  using chain = new FolderChain(staging);
  onFile(about, () => {
    const from = chain.find(parts.slice(0, -1));
    using pinned = from.pinChild(last);
    if (!pinned.stat().isFile()) throw refused(entry, 'is a hard link to something that is no file');
    anew(target, () => linkSync(from.child(last), target));
  });
}

/** Of several entries with one name the last one stays; a folder does. */
function anew<Made>(target: Buffer, make: () => Made): Made {
  try {
    return make();
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    unlinkSync(target);
    return make();
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
function checkedParts(entry: TarEntry): readonly Buffer[] {
  const { name } = entry;
  if (name[0] === slash) throw refused(entry, 'has an absolute name');
  if (name.includes(0)) throw refused(entry, 'has a NUL byte in its name');
  const parts = splitPath(name);
  if (parts.some((part) => part.length === 2 && part.equals(dotDot))) {
    throw refused(entry, 'has ".." in its name');
  }
  // The folder that it is unpacked in has a part of its own.
  if (parts.length >= maxDepth || name.length > maxPathBytes) {
    throw refused(entry, 'has a name that is too long');
  }
  return parts;
}

/** By its text: from the folder that it will be in, or absolute. Whoever follows it is checked again. */
function checkLink({ confinement, folder, parts, entry }: Unpacking): void {
  const { target } = entry;
  if (target === null || target.length === 0) throw refused(entry, 'is a link to nothing');
  const steps = target[0] === slash ? [] : [...splitPath(folder.location()), ...parts.slice(0, -1)];
  for (const part of splitPath(target)) {
    if (part.equals(dotDot)) steps.pop();
    else steps.push(part);
  }
  const absolute = Buffer.concat(steps.flatMap((part) => [Buffer.from('/'), part]));
  if (!confinement.mayLeadTo(absolute)) throw refused(entry, 'is a link that leads out');
}

/** What to call it in an error. Of thousands few are ever told. */
function aboutEntry({ name }: TarEntry): { readonly text: string } {
  return {
    get text() {
      return pathFromBytes(name.subarray(0, 1_000));
    },
  };
}

function refused(entry: TarEntry, why: string): CaissonError {
  const { text } = aboutEntry(entry);
  return new CaissonError('PATH_FORBIDDEN', `The archive was not unpacked: ${JSON.stringify(text)} ${why}.`, {
    hint: 'Leave it out of the archive.',
    details: { entry: text },
  });
}

const slash = 0x2f;
const dotDot = Buffer.from('..');
