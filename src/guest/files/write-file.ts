import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  futimesSync,
  linkSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
  writev,
} from 'node:fs';
import { promisify } from 'node:util';
import { temporaryName } from '../../kernel/temporary-name.ts';
import type { FileWritten } from '../../wire/contract/files.ts';
import type { FilePlace } from './confinement.ts';
import { errnoOf, onFile, onFileLater } from './errno.ts';
import { fileInfo } from './file-info.ts';
import { checkBeforeWrite, type Preconditions } from './preconditions.ts';
import { requireRegular } from './read-file.ts';

export interface WriteOptions extends Preconditions {
  /** Permission bits. Default: of a file that is replaced, its own; of a new one 0o644. What is appended to keeps its own. */
  readonly mode?: number | undefined;
  /** When it last changed, in milliseconds since the epoch. Default: now. */
  readonly modifiedAt?: number | undefined;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_APPEND, W_OK } = constants;
const writevLater = promisify(writev);

/**
 * The new content of a file while it is written: a temporary file in the same folder. `commit` puts it in place by a rename,
 * so that readers see the old content or the new one; disposing it without a commit leaves nothing behind. Preconditions
 * are checked at the beginning, and again in the same turn as the rename: of two writers with one ETag, one is refused.
 */
export class NewContent implements Disposable {
  readonly #place: FilePlace;
  readonly #options: WriteOptions;
  /** What is there, as the last check found it. */
  #before: BigIntStats | undefined;
  readonly #temporary: Buffer;
  readonly #fd: number;
  #isPending = true;

  constructor(place: FilePlace, options: WriteOptions) {
    this.#place = place;
    this.#options = options;
    this.#before = place.before;
    this.#check();
    const before = this.#before;
    this.#temporary = place.folder.child(temporaryName());
    const mode = options.mode ?? (before === undefined ? 0o644 : Number(before.mode));
    this.#fd = onFile(place.path.text, () =>
      openSync(this.#temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
    );
    fchmodSync(this.#fd, mode & 0o777);
  }

  /** For the turn in which this was made: nobody else's write of the API came in between, so nothing is checked again. */
  commitWhole(content: Uint8Array): FileWritten {
    onFile(this.#place.path.text, () => writeAll(this.#fd, content));
    return this.#putInPlace();
  }

  async write(chunks: readonly Buffer[]): Promise<void> {
    await onFileLater(this.#place.path.text, async () => {
      let left = chunks.filter(({ length }) => length > 0);
      while (left.length > 0) {
        const { bytesWritten } = await writevLater(this.#fd, left);
        left = after(left, bytesWritten);
      }
    });
  }

  commit(): FileWritten {
    this.#before = this.#place.lookUp();
    this.#check();
    return this.#putInPlace();
  }

  #putInPlace(): FileWritten {
    const { path, via } = this.#place;
    onFile(path.text, () => {
      const { modifiedAt } = this.#options;
      if (modifiedAt !== undefined) futimesSync(this.#fd, modifiedAt / 1_000, modifiedAt / 1_000);
      if (this.#options.ifNoneMatch?.trim() === '*') {
        linkSync(this.#temporary, via); // fails where something came into being since
        unlinkSync(this.#temporary);
      } else renameSync(this.#temporary, via);
    });
    this.#isPending = false;
    const file = fileInfo(path.text, fstatSync(this.#fd, { bigint: true }), () => via);
    return { file, created: this.#before === undefined };
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    if (!this.#isPending) return;
    this.#isPending = false;
    discard(this.#temporary);
  }

  #check(): void {
    const { path, via } = this.#place;
    const before = this.#before;
    checkBeforeWrite(path.text, before, this.#options);
    if (before === undefined) return;
    requireRegular(path.text, before);
    onFile(path.text, () => accessSync(via, W_OK)); // a rename would not ask
  }
}

/** Writes a small file in the turn in which `place` was looked up: nobody else's write of the API comes in between. */
export function writeWhole(place: FilePlace, content: Uint8Array, options: WriteOptions): FileWritten {
  using written = new NewContent(place, options);
  return written.commitWhole(content);
}

/** Adds, in that turn as well, to the end of a file, which is made where it is missing. Not atomic for those who read it in this moment. */
export function appendWhole(place: FilePlace, content: Uint8Array, options: WriteOptions): FileWritten {
  const { before, path } = place;
  checkBeforeWrite(path.text, before, options);
  if (before === undefined) {
    using written = new NewContent(place, { ...options, ifNoneMatch: '*' });
    return written.commitWhole(content);
  }
  requireRegular(path.text, before);
  const fd = onFile(path.text, () => openSync(place.via, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK));
  try {
    requireRegular(path.text, fstatSync(fd));
    onFile(path.text, () => writeAll(fd, content));
    return { file: fileInfo(path.text, fstatSync(fd, { bigint: true }), () => place.via), created: false };
  } finally {
    closeSync(fd);
  }
}

export function writeAll(fd: number, content: Uint8Array): void {
  for (let at = 0; at < content.length;) at += writeSync(fd, content, at, content.length - at);
}

/** Removes a temporary file. One that somebody else took away, alone or with its folder, is what we want. */
function discard(temporary: Buffer): void {
  try {
    unlinkSync(temporary);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
  }
}

function after(chunks: readonly Buffer[], written: number): Buffer[] {
  const left: Buffer[] = [];
  let skip = written;
  for (const chunk of chunks) {
    if (skip < chunk.length) left.push(skip === 0 ? chunk : chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return left;
}
