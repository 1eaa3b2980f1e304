import { createReadStream, type Stats } from 'node:fs';
import { lstat, opendir, readlink } from 'node:fs/promises';
import { CaissonError } from '../../kernel/errors.ts';
import { encodeTarHeader } from '../../kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../kernel/tar-entry.ts';

/**
 * A folder of this machine as a tar archive, piece by piece, with names relative to it. Links stay links; pipes, sockets and
 * devices are left out. BAD_REQUEST where a file becomes shorter while it is read.
 */
export async function* packFolder(folder: string): AsyncGenerator<Buffer, void> {
  yield* packBelow(Buffer.from(folder), []);
  yield tarEnd;
}

async function* packBelow(folder: Buffer, above: readonly Buffer[]): AsyncGenerator<Buffer, void> {
  // The types of Node know no buffers here, though `encoding: 'buffer'` gives them.
  for await (const { name } of await opendir(folder, { encoding: 'buffer' as BufferEncoding })) {
    const bytes = Buffer.from(name);
    const path = Buffer.concat([folder, Buffer.from('/'), bytes]);
    const stats = await lstat(path);
    const parts = [...above, bytes];
    yield* packOne(path, parts, stats);
    if (stats.isDirectory()) yield* packBelow(path, parts);
  }
}

async function* packOne(path: Buffer, parts: readonly Buffer[], stats: Stats): AsyncGenerator<Buffer, void> {
  const name = Buffer.concat(parts.flatMap((part, at) => (at === 0 ? [part] : [Buffer.from('/'), part])));
  const about = { name, mode: stats.mode & 0o777, modifiedAt: stats.mtimeMs / 1_000, size: 0, target: null };
  if (stats.isDirectory()) yield encodeTarHeader({ ...about, type: 'directory' });
  else if (stats.isSymbolicLink()) {
    const target = await readlink(path, { encoding: 'buffer' });
    yield encodeTarHeader({ ...about, type: 'symbolic-link', target });
  } else if (stats.isFile()) {
    const { size } = stats;
    yield encodeTarHeader({ ...about, type: 'file', size });
    let left = size;
    if (size > 0) {
      for await (const chunk of createReadStream(path, {
        end: size - 1,
        highWaterMark: 256 * 1024,
      }) as AsyncIterable<Buffer>) {
        left -= chunk.length;
        yield chunk;
      }
    }
    if (left > 0) throw new CaissonError('BAD_REQUEST', `${path.toString()} became shorter while it was read.`);
    yield Buffer.alloc(tarPadding(size));
  }
}
