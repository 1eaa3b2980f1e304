import { lstat, stat } from 'node:fs/promises';
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
 * whole; only in a folder that is new, SIGKILL may leave a small one short. As with `cp -r` and `docker cp`, what
 * is there goes into a folder that exists under its own name, and only what is in it where the remote path is a whole
 * workspace, or ends with a slash or `/.`: so what comes lies where the caller said, also when the sandbox has made a folder of
 * a file. Without `local`: under its own name here.
 */
export async function get(
  { client, agentId, path }: RemotePath,
  local?: string,
): Promise<UnpackedHere & { readonly to: string }> {
  const info = await client.files.stat.query({ agentId, path });
  // However it ends, nothing is left that would keep this program waiting.
  const over = new AbortController();
  const { signal } = over;
  const progress = new Progress(path === '' ? '/workspace' : path, info.type === 'directory' ? undefined : info.size);
  try {
    if (info.type === 'directory') {
      const stream = await client.files.downloadArchive({ agentId, path, signal });
      return await onThisMachine(async () => {
        const to = await folderFor(path, local);
        return { ...(await unpackFolder(to, buffers(stream, progress))), to };
      });
    }
    if (local === '-') {
      const { stream, length } = await client.files.download({ agentId, path, signal });
      await pipeline(buffers(stream, progress), process.stdout, { end: false });
      return { files: 1, bytes: length, leftOut: [], leftOutTotal: 0, to: local };
    }
    return await onThisMachine(async () => {
      const to = local === undefined ? lastName(path) : await placeFor(path, local);
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

/** Whether what is in the folder is meant, and not the folder. */
function isContents(path: string): boolean {
  return /(?:^|\/)\.?$/.test(path) || path === '/workspace';
}

async function folderFor(path: string, local: string | undefined): Promise<string> {
  if (local === '-')
    throw new CaissonError('IS_A_DIRECTORY', `${JSON.stringify(path)} is a folder, and stdout is none.`);
  if (local === undefined || isContents(path)) return local ?? lastName(path);
  const to = await placeFor(path, local);
  if (to === local || (await lstat(to).catch(() => undefined))?.isSymbolicLink() !== true) return to;
  throw new CaissonError('BAD_REQUEST', `${to} is a link.`, { hint: 'Remove it, or give the folder that is meant.' });
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
