import { createReadStream, readlinkSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { ZipFile } from 'yazl';
import { orAbort } from '../../kernel/deadline.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';
import type { Pin } from './confinement.ts';
import { errnoOf } from './errno.ts';
import { typeOf } from './file-info.ts';
import { Pacer } from './pacer.ts';
import { splitPath } from './sandbox-path.ts';
import { walk } from './walk.ts';

/** Most time goes into compressing; the strongest levels save little more. */
const compressionLevel = 3;
const symbolicLink = 0o120000;
const regularFile = 0o100000;
/** In 2038. For a time before 1970 yazl throws, where nobody can catch it, and it cuts those after this. */
const latestMs = 0x7fff_ffff * 1_000;

/**
 * Sends what is in `folder` as a zip archive, as `packTar` does, for people without tar. Zip has text for names: bytes that are
 * no UTF-8 become U+FFFD, and backslashes, which other systems take for folders, become `_`.
 */
export async function packZip(folder: Pin, stream: Writable, gone: AbortSignal): Promise<void> {
  const zip = new ZipFile();
  const failed = new AbortController();
  zip.on('error', (reason) => failed.abort(reason));
  const sent = pipeline(zip.outputStream, stream, { end: false, signal: gone });
  sent.catch((reason: unknown) => failed.abort(reason));
  const depthOfRoot = splitPath(folder.path.bytes).length;
  const nameOf = (parent: Pin, name: Buffer): string =>
    [...splitPath(parent.path.bytes).slice(depthOfRoot), name].map(zipName).join('/');
  await walk(
    folder,
    {
      async enter(parent, name) {
        if (isTemporaryName(name)) return false;
        return await orAbort(packOne(zip, parent, name, nameOf(parent, name)), failed.signal);
      },
    },
    new Pacer(gone),
  );
  zip.end();
  await orAbort(sent, failed.signal);
}

/** Resolves when all of it went into the archive; returns whether it is a folder. */
async function packOne(zip: ZipFile, parent: Pin, name: Buffer, zipped: string): Promise<boolean> {
  let pin: Pin;
  try {
    pin = parent.pinChild(name);
  } catch (thrown) {
    if (errnoOf(thrown instanceof Error ? thrown.cause : thrown) === 'ENOENT') return false;
    throw thrown;
  }
  using held = pin;
  const stats = held.stat();
  const about = { mtime: new Date(Math.min(Math.max(0, Number(stats.mtimeMs)), latestMs)), mode: regularFile | (Number(stats.mode) & 0o777) };
  switch (typeOf(stats)) {
    case 'directory':
      zip.addEmptyDirectory(zipped, { mtime: about.mtime });
      return true;
    case 'link': {
      const target = readlinkSync(parent.child(name), { encoding: 'buffer' });
      zip.addBuffer(target, zipped, { ...about, mode: symbolicLink | 0o777, compress: false });
      return false;
    }
    case 'file':
      await add(zip, createReadStream(held.via, { highWaterMark: 256 * 1024 }), zipped, about);
      return false;
    case 'other':
      return false;
  }
}

async function add(
  zip: ZipFile,
  content: Readable,
  name: string,
  about: { readonly mtime: Date; readonly mode: number },
): Promise<void> {
  zip.addReadStream(content, name, { ...about, compressionLevel });
  await finished(content);
}

/** One part of a name in a form that every system unpacks where it belongs. */
function zipName(name: Buffer): string {
  return name
    .toString()
    .replaceAll('\\', '_')
    .replace(/^([a-zA-Z]):/, '$1_');
}
