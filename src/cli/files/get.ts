import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
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
  if (info.type === 'directory') {
    const progress = new Progress(path === '' ? '/workspace' : path);
    const stream = await client.files.downloadArchive({ agentId, path });
    const unpacked = await onThisMachine(() => unpackFolder(local, buffers(stream, progress)));
    await progress.end();
    return { ...unpacked, to: local };
  }
  const { stream, length } = await client.files.download({ agentId, path });
  const progress = new Progress(path, length);
  if (local === '-') {
    await pipeline(buffers(stream, progress), process.stdout, { end: false });
    return { files: 1, bytes: length, leftOut: [], to: local };
  }
  const isFolder = (await stat(local).catch(() => undefined))?.isDirectory() === true;
  const to = isFolder ? join(local, lastName(info.path)) : local;
  const half = `${to}.caisson-part`;
  try {
    await onThisMachine(async () => {
      await pipeline(buffers(stream, progress), createWriteStream(half, { mode: info.mode & 0o777 }));
      await rename(half, to);
    });
  } catch (thrown) {
    await rm(half, { force: true });
    throw thrown;
  } finally {
    await progress.end();
  }
  return { files: 1, bytes: length, leftOut: [], to };
}

async function* buffers(stream: ReadableStream<Uint8Array>, progress: Progress): AsyncGenerator<Buffer, void> {
  for await (const chunk of stream) {
    progress.add(chunk.length);
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}
