import { lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { ByteSource } from '../../kernel/byte-source.ts';
import { readTarEntry, skipTarPadding } from '../../kernel/tar-decode.ts';
import { type TarEntry, tarPadding } from '../../kernel/tar-entry.ts';
import { temporaryName } from '../../kernel/temporary-name.ts';
import { HalfFile, pathBelow } from './half-file.ts';
import { InnerLinks } from './inner-links.ts';
import { type LeftOut, LeftOutLinks } from './left-out.ts';
import { isPlainHere, isUp, slash, split } from './path-parts.ts';

/** Taken and written in pieces of this. */
const pieceBytes = 256 * 1024;

export interface UnpackedHere extends LeftOut {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Unpacks what came out of a sandbox, which is not trusted, into a folder of this machine: nothing is written outside of it,
 * and through no link. PATH_FORBIDDEN for names with `..`, absolute ones, and devices. Links that could lead out are left out:
 * through those that are made, nobody comes out either. Bits such as setuid are not taken over. Nobody else may be at work in
 * the folder meanwhile. Writes without waiting, since a hop to another thread takes longer than to write a small file.
 */
export async function unpackFolder(folder: string, content: AsyncIterable<Buffer>): Promise<UnpackedHere> {
  const source = new ByteSource(content);
  const root = Buffer.from(folder);
  const out = new LeftOutLinks();
  let [files, bytes] = [0, 0];
  const isNew = mkdirSync(root, { recursive: true }) !== undefined;
  const links = new InnerLinks(root, isNew);
  const folders = new SafeFolders(root);
  for (let entry = await readTarEntry(source); entry !== undefined; entry = await readTarEntry(source)) {
    const parts = safeParts(entry);
    const name = parts.at(-1);
    if (name === undefined) continue;
    const above = parts.slice(0, -1);
    const parent = folders.at(above);
    switch (entry.type) {
      case 'directory':
        folders.at(parts);
        break;
      case 'file':
        await unpackFile({ folder: parent, name, entry, source, isNew });
        files += 1;
        bytes += entry.size;
        break;
      case 'symbolic-link':
        if (entry.target !== null && (await links.mayLead(above, entry.target))) makeLink(parent, name, entry.target);
        else out.add(pathFromBytes(entry.name));
        break;
      case 'hard-link':
      case 'device':
      case 'fifo':
        throw refused(entry, 'is no file, folder or link');
    }
  }
  return { files, bytes, leftOut: out.leftOut, leftOutTotal: out.leftOutTotal };
}

/** None for the folder itself. */
function safeParts(entry: TarEntry): readonly Buffer[] {
  const { name } = entry;
  if (name[0] === slash) throw refused(entry, 'has an absolute name');
  if (name.includes(0)) throw refused(entry, 'has a NUL byte in its name');
  const parts = split(name);
  if (parts.some(isUp)) throw refused(entry, 'has ".." in its name');
  if (!parts.every(isPlainHere)) throw refused(entry, 'has a name that means something else here');
  if (parts.length === 0 && entry.type !== 'directory') throw refused(entry, 'has no name');
  return parts;
}

/**
 * The folders below one, each of which is a folder, not a link to one. The last is remembered, as files come folder by folder:
 * nothing that is unpacked takes the place of a folder.
 */
class SafeFolders {
  readonly #root: Buffer;
  #last: { readonly parts: readonly Buffer[]; readonly path: Buffer };

  constructor(root: Buffer) {
    this.#root = root;
    this.#last = { parts: [], path: root };
  }

  /** Makes those that are missing. */
  at(parts: readonly Buffer[]): Buffer {
    const { parts: last, path } = this.#last;
    if (parts.length === last.length && parts.every((part, at) => last[at]?.equals(part))) return path;
    this.#last = { parts: parts.map((part) => Buffer.from(part)), path: parts.reduce(makeOrKeep, this.#root) };
    return this.#last.path;
  }
}

function makeOrKeep(above: Buffer, name: Buffer): Buffer {
  const path = pathBelow(above, name);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) mkdirSync(path);
  else if (!stats.isDirectory()) {
    throw new CaissonError('PATH_FORBIDDEN', `${path.toString()} is in the way: it is no folder.`, {
      hint: 'Remove it, or unpack into an empty folder.',
    });
  }
  return path;
}

interface Unpacking {
  readonly folder: Buffer;
  readonly name: Buffer;
  readonly entry: TarEntry;
  readonly source: ByteSource;
  /** Whether nothing was in the folder that all goes into. */
  readonly isNew: boolean;
}

async function unpackFile({ folder, name, entry, source, isNew }: Unpacking): Promise<void> {
  const { size, mode, modifiedAt } = entry;
  const whole = isNew ? source.takeHere(size + tarPadding(size)) : undefined;
  using half = new HalfFile({ folder, name, mode, isAtHand: whole !== undefined });
  if (whole === undefined) await takeContent(half, size, source);
  else half.write(whole.subarray(0, size));
  half.commit(modifiedAt);
}

async function takeContent(half: HalfFile, size: number, source: ByteSource): Promise<void> {
  for (let left = size; left > 0;) {
    const piece = await source.some(Math.min(left, pieceBytes));
    if (piece.length === 0) throw new CaissonError('BAD_REQUEST', 'The archive breaks off.');
    half.write(piece);
    left -= piece.length;
  }
  await skipTarPadding(source, size);
}

/** In place of a file or link of its name. */
function makeLink(folder: Buffer, name: Buffer, target: Buffer): void {
  const half = pathBelow(folder, temporaryName());
  symlinkSync(target, half);
  try {
    renameSync(half, pathBelow(folder, name));
  } catch (thrown) {
    rmSync(half, { force: true });
    throw thrown;
  }
}

function refused({ name }: TarEntry, why: string): CaissonError {
  return new CaissonError(
    'PATH_FORBIDDEN',
    `What the sandbox sent was not unpacked further: ${JSON.stringify(pathFromBytes(name.subarray(0, 1_000)))} ${why}.`,
  );
}
