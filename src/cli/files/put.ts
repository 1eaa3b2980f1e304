import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { type LeftOut, LeftOutLinks } from './left-out.ts';
import { onThisMachine } from './local-error.ts';
import { packFolder } from './pack-folder.ts';
import { Progress } from './progress.ts';
import type { RemotePath } from './remote-path.ts';

/** Windows does not know which files are executable. */
export const hasModes = process.platform !== 'win32';

/** What went up. */
export interface Put extends LeftOut {
  readonly files: number;
  readonly bytes: number;
}

/** Uploads a file, a folder with all that is in it but links that lead out of it, or stdin (`-`), with its progress on stderr. */
export async function put(local: string | Buffer, { client, agentId, path }: RemotePath): Promise<Put> {
  if (local === '-') {
    const progress = new Progress('stdin');
    const { file } = await client.files.upload({
      agentId,
      path,
      body: webStream(process.stdin, progress),
      parents: true,
    });
    await progress.end();
    return { files: 1, bytes: file.size, leftOut: [], leftOutTotal: 0 };
  }
  const stats = await onThisMachine(() => stat(local));
  const progress = new Progress(local.toString(), stats.isDirectory() ? undefined : stats.size);
  try {
    if (stats.isDirectory()) {
      const out = new LeftOutLinks();
      const body = webStream(Readable.from(packFolder(local, out), { objectMode: false }), progress);
      const { files, bytes } = await onThisMachine(() => client.files.uploadArchive({ agentId, path, body }));
      return { files, bytes, leftOut: out.leftOut, leftOutTotal: out.leftOutTotal };
    }
    const body = webStream(createReadStream(local, { highWaterMark: 256 * 1024 }), progress);
    // Its time from before it was read: what changes meanwhile is newer than what went up.
    const modifiedAt = Math.max(0, Math.floor(stats.mtimeMs));
    const about = { ...(hasModes ? { mode: stats.mode & 0o777 } : {}), modifiedAt, parents: true };
    const { file } = await onThisMachine(() => client.files.upload({ agentId, path, body, ...about }));
    return { files: 1, bytes: file.size, leftOut: [], leftOutTotal: 0 };
  } finally {
    await progress.end();
  }
}

function webStream(stream: Readable, progress: Progress): ReadableStream<Uint8Array<ArrayBuffer>> {
  const source = NodeReadableStream.from(stream) as ReadableStream<Uint8Array<ArrayBuffer>>;
  return source.pipeThrough(progress.through());
}
