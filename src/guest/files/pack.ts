import { closeSync, constants, openSync, read, readSync } from 'node:fs';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { readlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { encodeTarHeader } from '../../kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../kernel/tar-entry.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';
import type { Pin } from './confinement.ts';
import { errnoOf, fileError } from './errno.ts';
import { typeOf } from './file-info.ts';
import { Pacer } from './pacer.ts';
import { splitPath } from './sandbox-path.ts';
import { walk } from './walk.ts';

/** Handed to the stream together. */
const batchBytes = 256 * 1024;
const wholeBytes = 256 * 1024;
const readLater = promisify(read);
const { O_RDONLY, O_NONBLOCK } = constants;

/**
 * Sends what is in `folder` as a tar archive, with names relative to it. Links are stored as links; pipes, sockets, devices
 * and unfinished uploads are left out. A file that changes while it is read keeps the length that it had at its beginning:
 * throws, and so cuts the archive, where it has become shorter.
 */
export async function packTar(folder: Pin, stream: ServerHttp2Stream, gone: AbortSignal): Promise<void> {
  const out = new BatchedOutput(stream, gone);
  const depthOfRoot = splitPath(folder.path.bytes).length;
  const nameOf = (parent: Pin, name: Buffer): Buffer =>
    Buffer.concat([
      ...splitPath(parent.path.bytes)
        .slice(depthOfRoot)
        .flatMap((part) => [part, slash]),
      name,
    ]);
  await walk(
    folder,
    {
      async enter(parent, name) {
        if (isTemporaryName(name)) return false;
        return await packOne(parent, name, nameOf(parent, name), out);
      },
    },
    new Pacer(gone),
  );
  out.add(tarEnd);
  await out.flush();
}

/** Returns whether it is a folder. */
async function packOne(parent: Pin, name: Buffer, packedName: Buffer, out: BatchedOutput): Promise<boolean> {
  let pin: Pin;
  try {
    pin = parent.pinChild(name);
  } catch (thrown) {
    return passOver(thrown);
  }
  using held = pin;
  const stats = held.stat();
  const about = { name: packedName, mode: Number(stats.mode) & 0o777, modifiedAt: Number(stats.mtimeMs) / 1_000 };
  switch (typeOf(stats)) {
    case 'directory':
      out.add(encodeTarHeader({ ...about, type: 'directory', size: 0, target: null }));
      break;
    case 'link': {
      const target = readlinkSync(parent.child(name), { encoding: 'buffer' });
      out.add(encodeTarHeader({ ...about, type: 'symbolic-link', size: 0, target }));
      break;
    }
    case 'file': {
      const size = Number(stats.size);
      const fd = openSync(held.via, O_RDONLY | O_NONBLOCK);
      try {
        out.add(encodeTarHeader({ ...about, type: 'file', size, target: null }));
        await addContent(fd, size, parent, out);
      } finally {
        closeSync(fd);
      }
      break;
    }
    case 'other':
      break;
  }
  if (out.isFull) await out.flush();
  return stats.isDirectory();
}

async function addContent(fd: number, size: number, parent: Pin, out: BatchedOutput): Promise<void> {
  for (let at = 0; at < size;) {
    const piece = Buffer.allocUnsafe(Math.min(size - at, wholeBytes));
    const count =
      size <= wholeBytes
        ? readSync(fd, piece, 0, piece.length, at)
        : (await readLater(fd, piece, 0, piece.length, at)).bytesRead;
    if (count === 0) throw new Error(`a file in ${parent.path.text} has become shorter while it was read`);
    out.add(piece.subarray(0, count));
    at += count;
    if (out.isFull) await out.flush();
  }
  const padding = tarPadding(size);
  if (padding > 0) out.add(Buffer.alloc(padding));
}

/** Gone since it was seen: not in the archive. */
function passOver(thrown: unknown): false {
  const code = errnoOf(thrown instanceof Error ? (thrown.cause ?? thrown) : thrown);
  if (code === 'ENOENT') return false;
  throw fileError(thrown, 'the archive');
}

/** Joins small pieces, and waits for the reader. */
class BatchedOutput {
  readonly #stream: ServerHttp2Stream;
  readonly #gone: AbortSignal;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(stream: ServerHttp2Stream, gone: AbortSignal) {
    this.#stream = stream;
    this.#gone = gone;
  }

  get isFull(): boolean {
    return this.#bytes >= batchBytes;
  }

  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  async flush(): Promise<void> {
    this.#gone.throwIfAborted();
    if (this.#bytes === 0) return;
    const batch = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    if (!this.#stream.write(batch)) await once(this.#stream, 'drain', { signal: this.#gone });
  }
}

const slash = Buffer.from('/');
