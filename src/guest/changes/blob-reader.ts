import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { CaissonError } from '../../kernel/errors.ts';
import { changesBounds } from '../../wire/contract/changes.ts';
import { endGit, type Git } from './git.ts';

const newline = 0x0a;
/** A read that brings nothing for this long has no git behind it that works. */
const stalledMs = 30_000;

/** Reads objects of the store, one at a time, through one process that is ended by disposing of the reader. */
export class BlobReader implements Disposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(git: Git) {
    this.#child = git.start(['cat-file', '--batch']);
    this.#child.on('error', () => undefined); // its output ends, and says so
    this.#child.stderr.resume();
    this.#chunks = this.#child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Rejects with GIT_FAILED when it cannot be read, or is larger than any file that is kept. */
  async read(object: string): Promise<Buffer> {
    this.#child.stdin.write(`${object}\n`);
    const [, type, size = ''] = (await this.#line()).split(' ');
    const bytes = Number(size);
    if (type !== 'blob' || !(bytes <= changesBounds.fileBytes)) {
      throw new CaissonError('GIT_FAILED', `The object ${object} of the checkpoint cannot be read.`);
    }
    return (await this.#take(bytes + 1)).subarray(0, bytes);
  }

  [Symbol.dispose](): void {
    this.#child.stdin.destroy();
    endGit(this.#child);
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(newline);
      if (end >= 0) return (await this.#take(end + 1)).subarray(0, end).toString();
      this.#rest = Buffer.concat([this.#rest, await this.#more()]);
    }
  }

  async #take(bytes: number): Promise<Buffer> {
    const pieces = [this.#rest];
    let length = this.#rest.length;
    while (length < bytes) {
      const chunk = await this.#more();
      pieces.push(chunk);
      length += chunk.length;
    }
    const all = pieces.length === 1 ? this.#rest : Buffer.concat(pieces);
    this.#rest = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  async #more(): Promise<Buffer> {
    const stalled = setTimeout(() => endGit(this.#child), stalledMs);
    const next = await this.#chunks.next().finally(() => clearTimeout(stalled));
    if (next.done === true) throw new CaissonError('GIT_FAILED', 'git cat-file ended too early.');
    return next.value;
  }
}
