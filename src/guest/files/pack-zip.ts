import { createReadStream, readlinkSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { ZipFile } from 'yazl';
import { orAbort } from '../../kernel/deadline.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';
import type { ArchiveOutput } from './archive-output.ts';
import type { Pin } from './confinement.ts';
import { onFile, onFileLater } from './errno.ts';
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
export async function packZip(folder: Pin, out: ArchiveOutput, gone: AbortSignal): Promise<void> {
  const { ZipFile } = await import('yazl'); // few guests are ever asked for a zip
  const zip = new ZipFile();
  const failed = new AbortController();
  zip.on('error', (reason) => failed.abort(reason));
  const send = async (): Promise<void> => {
    for await (const piece of zip.outputStream as AsyncIterable<Buffer>) {
      out.add(piece);
      if (out.isFull) await out.flush();
    }
    await out.finish();
  };
  const sent = orAbort(send(), gone);
  sent.catch((reason: unknown) => failed.abort(reason));
  const depthOfRoot = splitPath(folder.path.bytes).length;
  const nameOf = (parent: Pin, name: Buffer): string =>
    [...splitPath(parent.path.bytes).slice(depthOfRoot), name].map(zipName).join('/');
  await walk(
    folder,
    {
      async enter(parent, name) {
        if (isTemporaryName(name)) return false;
        return await packOne({ zip, parent, name, zipped: nameOf(parent, name), signal: failed.signal });
      },
    },
    new Pacer(gone),
  );
  zip.end();
  await orAbort(sent, failed.signal);
}

interface Packing {
  readonly zip: ZipFile;
  readonly parent: Pin;
  readonly name: Buffer;
  /** What it is called in the archive. */
  readonly zipped: string;
  readonly signal: AbortSignal;
}

/** Resolves when all of it went into the archive; returns whether it is a folder. */
async function packOne({ zip, parent, name, zipped, signal }: Packing): Promise<boolean> {
  signal.throwIfAborted();
  using held = pinPresent(parent, name);
  if (held === undefined) return false;
  const { text } = held.path;
  const stats = held.stat();
  const mtime = new Date(Math.min(Math.max(0, Number(stats.mtimeMs)), latestMs));
  switch (typeOf(stats)) {
    case 'directory':
      zip.addEmptyDirectory(zipped, { mtime });
      return true;
    case 'link': {
      const target = onFile(text, () => readlinkSync(parent.child(name), { encoding: 'buffer' }));
      zip.addBuffer(target, zipped, { mtime, mode: symbolicLink | 0o777, compress: false });
      return false;
    }
    case 'file': {
      const content = createReadStream(held.via, { highWaterMark: 256 * 1024 });
      try {
        zip.addReadStream(content, zipped, {
          mtime,
          mode: regularFile | (Number(stats.mode) & 0o777),
          compressionLevel,
        });
        await onFileLater(text, () => orAbort(finished(content), signal));
      } finally {
        content.destroy(); // else one that nobody reads any more stays open for ever
      }
      return false;
    }
    case 'other':
      return false;
  }
}

/** Undefined for what is gone since it was seen: it is not in the archive. */
function pinPresent(parent: Pin, name: Buffer): Pin | undefined {
  try {
    return parent.pinChild(name);
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'FILE_NOT_FOUND') return undefined;
    throw thrown;
  }
}

/** One part of a name in a form that every system unpacks where it belongs. */
function zipName(name: Buffer): string {
  return name
    .toString()
    .replaceAll('\\', '_')
    .replace(/^([a-zA-Z]):/, '$1_');
}
