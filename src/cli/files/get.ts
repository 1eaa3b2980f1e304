import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CaissonError } from '../../kernel/errors.ts';
import { HalfFile } from './half-file.ts';
import { onThisMachine } from './local-error.ts';
import { Progress } from './progress.ts';
import { lastName, type RemotePath } from './remote-path.ts';
import { unpackFolder, type UnpackedHere } from './unpack-folder.ts';

/**
 * Downloads a file, to stdout for `-`, or a folder, with its progress on stderr. A file appears under its name when it is
 * whole. Into a folder that exists, a file is put under its own name.
 */
export async function get(remote: RemotePath, local: string): Promise<UnpackedHere & { readonly to: string }> {
  const { client, agentId, path } = remote;
  const info = await client.files.stat.query({ agentId, path });
  // However it ends, nothing is left that would keep this program waiting.
  const over = new AbortController();
  const { signal } = over;
  const progress = new Progress(path === '' ? '/workspace' : path, info.type === 'directory' ? undefined : info.size);
  try {
    if (info.type === 'directory') {
      const stream = await client.files.downloadArchive({ agentId, path, signal });
      const unpacked = await onThisMachine(() => unpackFolder(local, buffers(stream, progress)));
      return { ...unpacked, to: local };
    }
    if (local === '-') {
      const { stream, length } = await client.files.download({ agentId, path, signal });
      await pipeline(buffers(stream, progress), process.stdout, { end: false });
      return { files: 1, bytes: length, leftOut: [], leftOutTotal: 0, to: local };
    }
    return await onThisMachine(async () => {
      const to = await placeFor(path, local);
      const [folder, name] = [Buffer.from(dirname(to)), Buffer.from(basename(to))];
      using half = new HalfFile({ folder, name, mode: info.mode });
      const { stream, length } = await client.files.download({ agentId, path, signal });
      for await (const piece of buffers(stream, progress)) half.write(piece);
      half.commit();
      return { files: 1, bytes: length, leftOut: [], leftOutTotal: 0, to };
    });
  } finally {
    over.abort();
    await progress.end();
  }
}

/** Into a folder that is there, under its own name; else to `local` itself, in place of a file. */
async function placeFor(path: string, local: string): Promise<string> {
  const there = await stat(local).catch(() => undefined);
  if (there?.isDirectory() === true) return join(local, lastName(path));
  if (there === undefined || there.isFile()) return local;
  throw new CaissonError('BAD_REQUEST', `${local} is a device or a pipe.`, { hint: 'Use - for stdout.' });
}

async function* buffers(stream: ReadableStream<Uint8Array>, progress: Progress): AsyncGenerator<Buffer, void> {
  for await (const chunk of stream) {
    progress.add(chunk.length);
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}
