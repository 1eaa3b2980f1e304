import { closeSync, constants, fstatSync, openSync, read, readSync } from 'node:fs';
import { constants as http2 } from 'node:http2';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { promisify } from 'node:util';
import { parseRange } from '../../kernel/byte-range.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { fileHeader } from '../../wire/contract/files.ts';
import { encodeHeaderJson } from '../../wire/header-json.ts';
import { goneWith } from '../inward-call.ts';
import type { Confinement } from './confinement.ts';
import { onFile } from './errno.ts';
import { etagOf, fileInfo } from './file-info.ts';
import { matches, type Preconditions } from './preconditions.ts';
import type { SandboxPath } from './sandbox-path.ts';

/** Read and sent at once, in one turn of the event loop: what a system call does in some microseconds. */
const wholeBytes = 256 * 1024;
/** Read ahead of the stream, for what is larger. */
const pieceBytes = 512 * 1024;
const { O_RDONLY, O_NONBLOCK } = constants;
const readLater = promisify(read);

export interface ReadRequest extends Preconditions {
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
}

/**
 * Answers with the content of a regular file, whole or a range. What is announced is what is sent: never more, and where the
 * file shrinks under the reader the stream is reset. Throws before anything is sent; never blocks on a pipe or a device.
 */
export async function readFile(
  confinement: Confinement,
  path: SandboxPath,
  request: ReadRequest,
  stream: ServerHttp2Stream,
): Promise<void> {
  const fd = openRegular(confinement, path);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  try {
    const stats = fstatSync(fd, { bigint: true });
    const size = Number(stats.size);
    if (request.ifMatch !== undefined && !matches(request.ifMatch, stats)) {
      throw new CaissonError('FILE_CHANGED', `${JSON.stringify(path.text)} was changed since.`, {
        details: { path: path.text, etag: etagOf(stats) },
      });
    }
    const about = { [fileHeader]: encodeHeaderJson(fileInfo(path.text, stats, () => path.bytes)) };
    if (request.ifNoneMatch !== undefined && matches(request.ifNoneMatch, stats)) {
      stream.respond({ ':status': 304, ...about }, { endStream: true });
      return;
    }
    const isSame = request.ifRange === undefined || request.ifRange === etagOf(stats);
    const range = isSame ? parseRange(request.range, size) : 'whole';
    if (range === 'unsatisfiable') {
      throw new CaissonError('RANGE_NOT_SATISFIABLE', `${JSON.stringify(path.text)} has ${size} bytes.`, {
        details: { size },
      });
    }
    const { start, end } = range === 'whole' ? { start: 0, end: size } : range;
    const headers = { ...about, 'content-length': end - start };
    const head =
      range === 'whole'
        ? { ':status': 200, ...headers }
        : { ':status': 206, ...headers, 'content-range': `bytes ${start}-${end - 1}/${size}` };
    if (end - start <= wholeBytes) {
      const content = Buffer.allocUnsafe(end - start);
      const length = fill(fd, content, start);
      stream.respond(head);
      if (length === content.length) stream.end(content);
      else stream.close(http2.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    stream.respond(head);
    await send(fd, start, end, stream);
  } finally {
    close();
  }
}

/** Opens what `path` leads to for reading, when it is a regular file below a root. */
function openRegular(confinement: Confinement, path: SandboxPath): number {
  using pin = confinement.pin(path);
  requireRegular(path.text, pin.stat());
  return onFile(path.text, () => openSync(pin.via, O_RDONLY | O_NONBLOCK));
}

/** IS_A_DIRECTORY or NOT_A_REGULAR_FILE for all else. */
export function requireRegular(path: string, stats: { isFile(): boolean; isDirectory(): boolean }): void {
  if (stats.isFile()) return;
  if (stats.isDirectory())
    throw new CaissonError('IS_A_DIRECTORY', `${JSON.stringify(path)} is a folder.`, { details: { path } });
  throw new CaissonError('NOT_A_REGULAR_FILE', `${JSON.stringify(path)} is a pipe, a socket or a device.`, {
    details: { path },
  });
}

/** How much could be read. */
function fill(fd: number, content: Buffer, start: number): number {
  let length = 0;
  while (length < content.length) {
    const count = readSync(fd, content, length, content.length - length, start + length);
    if (count === 0) break;
    length += count;
  }
  return length;
}

async function send(fd: number, start: number, end: number, stream: ServerHttp2Stream): Promise<void> {
  const gone = goneWith(stream);
  try {
    for (let at = start; at < end;) {
      if (stream.destroyed) return;
      const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, end - at));
      const { bytesRead } = await readLater(fd, piece, 0, piece.length, at);
      if (bytesRead === 0) {
        stream.close(http2.NGHTTP2_INTERNAL_ERROR); // it shrank: the reader must not take this for the end
        return;
      }
      at += bytesRead;
      if (stream.destroyed) return;
      if (!stream.write(piece.subarray(0, bytesRead))) await once(stream, 'drain', { signal: gone });
    }
    stream.end();
  } catch (thrown) {
    if (gone.aborted) return;
    stream.close(http2.NGHTTP2_INTERNAL_ERROR);
    throw thrown;
  }
}
