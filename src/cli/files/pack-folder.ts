import { closeSync, lstatSync, opendirSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { encodeTarHeader } from '../../kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../kernel/tar-entry.ts';
import { pathBelow } from './half-file.ts';
import { LeftOutLinks } from './left-out.ts';
import { isUp, slash, split } from './path-parts.ts';

/** Small files are sent together, and read to where they are sent from: each piece costs as much as a hundred of them. */
const blockBytes = 256 * 1024;

/**
 * A folder of this machine as a tar archive, block by block, with names relative to it. Links stay links; pipes, sockets and
 * devices are left out, and so are links that lead out of the folder by their text, which a sandbox may refuse: they are added
 * to `out`. BAD_REQUEST where a file becomes shorter while it is read. Reads without waiting, since a hop to
 * another thread takes longer than to read a small file.
 */
export async function* packFolder(folder: string | Buffer, out = new LeftOutLinks()): AsyncGenerator<Buffer, void> {
  const block = new Block();
  yield* packBelow({ path: Buffer.from(folder), name: Buffer.alloc(0), depth: 0 }, block, out);
  yield* added(block, tarEnd);
  yield block.take();
}

/** What comes next in the archive. */
class Block {
  #bytes = Buffer.allocUnsafeSlow(blockBytes);
  #at = 0;

  get room(): number {
    return blockBytes - this.#at;
  }

  /** There must be room. */
  add(piece: Buffer): void {
    this.#at += piece.copy(this.#bytes, this.#at);
  }

  /** At most what there is room for; returns how much there was. */
  read(fd: number, most: number): number {
    const count = readSync(fd, this.#bytes, this.#at, Math.min(most, this.room), null);
    this.#at += count;
    return count;
  }

  /** What is in it, which leaves it empty. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at);
    this.#bytes = Buffer.allocUnsafeSlow(blockBytes);
    this.#at = 0;
    return taken;
  }
}

function* added(block: Block, piece: Buffer): Generator<Buffer, void> {
  if (block.room < piece.length) yield block.take();
  block.add(piece);
}

interface Packed {
  readonly path: Buffer;
  /** In the archive; empty for the folder that is packed. */
  readonly name: Buffer;
  /** How many folders below that one. */
  readonly depth: number;
}

/** Yields blocks that are full. */
function* packBelow(folder: Packed, block: Block, out: LeftOutLinks): Generator<Buffer, void> {
  // The types of Node know no buffers here, though `encoding: 'buffer'` gives them.
  using names = opendirSync(folder.path, { encoding: 'buffer' as BufferEncoding });
  for (let entry = names.readSync(); entry !== null; entry = names.readSync()) {
    const bytes = Buffer.from(entry.name);
    const path = pathBelow(folder.path, bytes);
    const name = folder.depth === 0 ? bytes : pathBelow(folder.name, bytes);
    const stats = lstatSync(path);
    const packed = { path, name, depth: folder.depth + 1 };
    yield* packOne(packed, stats, block, out);
    if (stats.isDirectory()) yield* packBelow(packed, block, out);
  }
}

function* packOne(
  { path, name, depth }: Packed,
  stats: Stats,
  block: Block,
  out: LeftOutLinks,
): Generator<Buffer, void> {
  const about = { name, mode: stats.mode & 0o777, modifiedAt: stats.mtimeMs / 1_000, size: 0, target: null };
  if (stats.isDirectory()) yield* added(block, encodeTarHeader({ ...about, type: 'directory' }));
  else if (stats.isSymbolicLink()) {
    const target = readlinkSync(path, { encoding: 'buffer' });
    if (leadsOut(depth - 1, target)) out.add(pathFromBytes(name));
    else yield* added(block, encodeTarHeader({ ...about, type: 'symbolic-link', target }));
  } else if (stats.isFile()) {
    yield* added(block, encodeTarHeader({ ...about, type: 'file', size: stats.size }));
    yield* contentOf(path, stats.size, block);
    yield* added(block, tarEnd.subarray(0, tarPadding(stats.size)));
  }
}

/** From so many folders below the one that is packed. */
function leadsOut(depth: number, target: Buffer): boolean {
  if (target[0] === slash) return true;
  let at = depth;
  for (const part of split(target)) if ((at += isUp(part) ? -1 : 1) < 0) return true;
  return false;
}

function* contentOf(path: Buffer, size: number, block: Block): Generator<Buffer, void> {
  const fd = openSync(path, 'r');
  try {
    for (let left = size; left > 0;) {
      if (block.room === 0) yield block.take();
      const read = block.read(fd, left);
      if (read === 0) {
        throw new CaissonError('BAD_REQUEST', `${path.toString()} became shorter while it was read.`);
      }
      left -= read;
    }
  } finally {
    closeSync(fd);
  }
}
