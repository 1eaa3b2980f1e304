import { closeSync, lstatSync, opendirSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { encodeTarHeader } from '../../kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../kernel/tar-entry.ts';
import { pathBelow } from './half-file.ts';
import { LeftOutLinks } from './left-out.ts';
import { isUp, slash, split } from './path-parts.ts';

/** Files are read in pieces of this, and small ones are sent together: each piece costs as much as a hundred small files. */
const blockBytes = 256 * 1024;

/**
 * A folder of this machine as a tar archive, block by block, with names relative to it. Links stay links; pipes, sockets and
 * devices are left out, and so are links that lead out of the folder by their text, which a sandbox may refuse: they are added
 * to `out`. BAD_REQUEST where a file becomes shorter while it is read. Reads without waiting, since a hop to
 * another thread takes longer than to read a small file.
 */
export async function* packFolder(folder: string | Buffer, out = new LeftOutLinks()): AsyncGenerator<Buffer, void> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  for (const piece of packBelow({ path: Buffer.from(folder), name: Buffer.alloc(0), depth: 0 }, out)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes < blockBytes) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
  }
  yield Buffer.concat([...pieces, tarEnd]);
}

interface Packed {
  readonly path: Buffer;
  /** In the archive; empty for the folder that is packed. */
  readonly name: Buffer;
  /** How many folders below that one. */
  readonly depth: number;
}

function* packBelow(folder: Packed, out: LeftOutLinks): Generator<Buffer, void> {
  // The types of Node know no buffers here, though `encoding: 'buffer'` gives them.
  using names = opendirSync(folder.path, { encoding: 'buffer' as BufferEncoding });
  for (let entry = names.readSync(); entry !== null; entry = names.readSync()) {
    const bytes = Buffer.from(entry.name);
    const path = pathBelow(folder.path, bytes);
    const name = folder.depth === 0 ? bytes : pathBelow(folder.name, bytes);
    const stats = lstatSync(path);
    const packed = { path, name, depth: folder.depth + 1 };
    yield* packOne(packed, stats, out);
    if (stats.isDirectory()) yield* packBelow(packed, out);
  }
}

function* packOne({ path, name, depth }: Packed, stats: Stats, out: LeftOutLinks): Generator<Buffer, void> {
  const about = { name, mode: stats.mode & 0o777, modifiedAt: stats.mtimeMs / 1_000, size: 0, target: null };
  if (stats.isDirectory()) yield encodeTarHeader({ ...about, type: 'directory' });
  else if (stats.isSymbolicLink()) {
    const target = readlinkSync(path, { encoding: 'buffer' });
    if (leadsOut(depth - 1, target)) out.add(pathFromBytes(name));
    else yield encodeTarHeader({ ...about, type: 'symbolic-link', target });
  } else if (stats.isFile()) {
    yield encodeTarHeader({ ...about, type: 'file', size: stats.size });
    yield* contentOf(path, stats.size);
    yield tarEnd.subarray(0, tarPadding(stats.size));
  }
}

/** From so many folders below the one that is packed. */
function leadsOut(depth: number, target: Buffer): boolean {
  if (target[0] === slash) return true;
  let at = depth;
  for (const part of split(target)) if ((at += isUp(part) ? -1 : 1) < 0) return true;
  return false;
}

function* contentOf(path: Buffer, size: number): Generator<Buffer, void> {
  const fd = openSync(path, 'r');
  try {
    for (let left = size; left > 0;) {
      const piece = Buffer.allocUnsafe(Math.min(left, blockBytes));
      const read = readSync(fd, piece);
      if (read === 0) {
        throw new CaissonError('BAD_REQUEST', `${path.toString()} became shorter while it was read.`);
      }
      left -= read;
      yield piece.subarray(0, read);
    }
  } finally {
    closeSync(fd);
  }
}
