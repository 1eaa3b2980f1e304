import {
  closeSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { ByteSource } from '../../kernel/byte-source.ts';
import { readTarEntry, skipTarPadding } from '../../kernel/tar-decode.ts';
import type { TarEntry } from '../../kernel/tar-entry.ts';

/** Taken and written in pieces of this. */
const pieceBytes = 256 * 1024;

export interface UnpackedHere {
  readonly files: number;
  readonly bytes: number;
  /** Links that would lead out of the folder: left out. */
  readonly leftOut: readonly string[];
}

/**
 * Unpacks what came out of a sandbox, which is not trusted, into a folder of this machine: nothing is written outside of it,
 * and through no link. PATH_FORBIDDEN for names with `..`, absolute ones, and devices. Links that lead out are left out. Bits
 * such as setuid are not taken over. Nobody else may be at work in the folder meanwhile. Writes without waiting, since a
 * hop to another thread takes longer than to write a small file.
 */
export async function unpackFolder(folder: string, content: AsyncIterable<Buffer>): Promise<UnpackedHere> {
  const source = new ByteSource(content);
  const root = Buffer.from(folder);
  const leftOut: string[] = [];
  let [files, bytes] = [0, 0];
  mkdirSync(root, { recursive: true });
  for (let entry = await readTarEntry(source); entry !== undefined; entry = await readTarEntry(source)) {
    const parts = safeParts(entry);
    if (parts.length === 0) continue;
    const parent = safeFolder(root, parts.slice(0, -1));
    const path = below(parent, parts.at(-1) ?? root);
    switch (entry.type) {
      case 'directory':
        safeFolder(root, parts);
        break;
      case 'file':
        await writeFile(path, entry, source);
        files += 1;
        bytes += entry.size;
        break;
      case 'symbolic-link':
        if (staysInside(parts, entry.target)) {
          rmSync(path, { force: true });
          symlinkSync(entry.target ?? '', path);
        } else leftOut.push(pathFromBytes(entry.name));
        break;
      case 'hard-link':
      case 'device':
      case 'fifo':
        throw refused(entry, 'is no file, folder or link');
    }
  }
  return { files, bytes, leftOut };
}

function safeParts(entry: TarEntry): readonly Buffer[] {
  const { name } = entry;
  if (name[0] === slash[0]) throw refused(entry, 'has an absolute name');
  if (name.includes(0)) throw refused(entry, 'has a NUL byte in its name');
  const parts = split(name);
  if (parts.some((part) => part.toString('latin1') === '..')) throw refused(entry, 'has ".." in its name');
  if (process.platform === 'win32' && /[\\:]/.test(name.toString('latin1')))
    throw refused(entry, 'has a name that means a path here');
  return parts;
}

/** Makes the folders that are missing; each must be a folder, not a link to one. */
function safeFolder(root: Buffer, parts: readonly Buffer[]): Buffer {
  let path = root;
  for (const part of parts) {
    path = below(path, part);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) mkdirSync(path);
    else if (!stats.isDirectory()) {
      throw new CaissonError('PATH_FORBIDDEN', `${path.toString()} is in the way: it is no folder.`, {
        hint: 'Remove it, or unpack into an empty folder.',
      });
    }
  }
  return path;
}

/** Beside its name first: what is cut leaves no half file under it. */
async function writeFile(path: Buffer, entry: TarEntry, source: ByteSource): Promise<void> {
  const half = Buffer.concat([path, Buffer.from('.caisson-part')]);
  rmSync(half, { force: true });
  const fd = openSync(half, 'wx', entry.mode & 0o777);
  let isPending = true;
  try {
    for (let left = entry.size; left > 0;) {
      const piece = await source.some(Math.min(left, pieceBytes));
      if (piece.length === 0) throw new CaissonError('BAD_REQUEST', 'The archive breaks off.');
      for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at);
      left -= piece.length;
    }
    await skipTarPadding(source, entry.size);
    futimesSync(fd, entry.modifiedAt, entry.modifiedAt);
    renameSync(half, path);
    isPending = false;
  } finally {
    closeSync(fd);
    if (isPending) rmSync(half, { force: true });
  }
}

/** Whether a link with this target, at this place of the folder, leads to something in it. */
function staysInside(parts: readonly Buffer[], target: Buffer | null): boolean {
  if (target === null || target.length === 0 || target[0] === slash[0]) return false;
  let depth = parts.length - 1;
  for (const part of split(target)) {
    depth += part.toString('latin1') === '..' ? -1 : 1;
    if (depth < 0) return false;
  }
  return true;
}

function split(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (const part of path.toString('latin1').split('/')) {
    if (part !== '' && part !== '.') parts.push(Buffer.from(part, 'latin1'));
  }
  return parts;
}

function below(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, slash, name]);
}

function refused({ name }: TarEntry, why: string): CaissonError {
  return new CaissonError(
    'PATH_FORBIDDEN',
    `What the sandbox sent was not unpacked further: ${JSON.stringify(pathFromBytes(name))} ${why}.`,
  );
}

const slash = Buffer.from('/');
