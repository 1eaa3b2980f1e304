import { closeSync, futimesSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { temporaryName } from '../../kernel/temporary-name.ts';

interface HalfFileOptions {
  readonly folder: Buffer;
  readonly name: Buffer;
  /** Permission bits, less those that the umask withholds. */
  readonly mode: number;
  /**
   * That all of it is here, for a folder that is being made: where nothing has its name, it has it from the beginning. Without
   * another name it takes a third less time. Default: false.
   */
  readonly isAtHand?: boolean;
}

/**
 * A file of this machine while it comes: under a random name in the folder of its own, so that no link that was put there is
 * written through. `commit` gives it its name, in place of a file or link that has it; disposing it without that, or an
 * interruption of the program, leaves nothing behind. Writes without waiting.
 */
export class HalfFile implements Disposable {
  readonly #half: Buffer;
  readonly #whole: Buffer;
  readonly #fd: number;

  constructor({ folder, name, mode, isAtHand = false }: HalfFileOptions) {
    this.#whole = pathBelow(folder, name);
    removeWhenInterrupted();
    const fd = isAtHand ? openNew(this.#whole, mode) : undefined;
    this.#half = fd === undefined ? pathBelow(folder, temporaryName()) : this.#whole;
    this.#fd = fd ?? openSync(this.#half, 'wx', mode & 0o777);
    pending.add(this.#half);
  }

  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length;) at += writeSync(this.#fd, piece, at);
  }

  /** `modifiedAt` in seconds since the epoch, before which Node sets none; default: now. */
  commit(modifiedAt?: number): void {
    const time = Math.max(0, modifiedAt ?? 0);
    if (modifiedAt !== undefined) futimesSync(this.#fd, time, time);
    if (this.#half !== this.#whole) renameSync(this.#half, this.#whole);
    pending.delete(this.#half);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    if (pending.delete(this.#half)) rmSync(this.#half, { force: true });
  }
}

/** Undefined where something has the name. */
function openNew(path: Buffer, mode: number): number | undefined {
  try {
    return openSync(path, 'wx', mode & 0o777);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST') return undefined;
    throw thrown;
  }
}

/** Names are bytes, which the path functions of Node do not know. */
export function pathBelow(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, slash, name]);
}

const slash = Buffer.from('/');
const pending = new Set<Buffer>();
let isRemoving = false;

function removeWhenInterrupted(): void {
  if (isRemoving) return;
  isRemoving = true;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      for (const half of pending) rmSync(half, { force: true });
      process.kill(process.pid, signal); // it ends as it would have without us
    });
  }
}
