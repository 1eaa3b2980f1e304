import { closeSync, futimesSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { temporaryName } from '../../kernel/temporary-name.ts';

/**
 * A file of this machine while it comes: under a random name in the folder of its own, so that no link that was put there is
 * written through. `commit` gives it its name, in place of a file or link that has it; disposing it without that, or an
 * interruption of the program, leaves nothing behind. Writes without waiting.
 */
export class HalfFile implements Disposable {
  readonly #half: Buffer;
  readonly #whole: Buffer;
  readonly #fd: number;

  /** `mode`: permission bits, less those that the umask withholds. */
  constructor({ folder, name, mode }: { readonly folder: Buffer; readonly name: Buffer; readonly mode: number }) {
    this.#half = pathBelow(folder, temporaryName());
    this.#whole = pathBelow(folder, name);
    removeWhenInterrupted();
    pending.add(this.#half);
    try {
      this.#fd = openSync(this.#half, 'wx', mode & 0o777);
    } catch (thrown) {
      pending.delete(this.#half);
      throw thrown;
    }
  }

  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length;) at += writeSync(this.#fd, piece, at);
  }

  /** `modifiedAt` in seconds since the epoch, before which Node sets none; default: now. */
  commit(modifiedAt?: number): void {
    const time = Math.max(0, modifiedAt ?? 0);
    if (modifiedAt !== undefined) futimesSync(this.#fd, time, time);
    renameSync(this.#half, this.#whole);
    pending.delete(this.#half);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    if (pending.delete(this.#half)) rmSync(this.#half, { force: true });
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
