import { mkdirSync } from 'node:fs';
import type { Pin } from './confinement.ts';
import { errnoOf } from './errno.ts';

/**
 * The folders from a pinned one down to where something is being unpacked, all pinned: entries of an archive mostly come
 * folder by folder. No link is passed through. Bounded by the depth of paths.
 */
export class FolderChain implements Disposable {
  readonly #root: Pin;
  readonly #below: { readonly name: Buffer; readonly pin: Pin }[] = [];

  constructor(root: Pin) {
    this.#root = root;
  }

  /** The folder of these parts; the missing ones are made. */
  go(parts: readonly Buffer[]): Pin {
    return this.#reach(parts, true);
  }

  /** The same for what must be there. */
  find(parts: readonly Buffer[]): Pin {
    return this.#reach(parts, false);
  }

  [Symbol.dispose](): void {
    this.#cut(0);
  }

  #reach(parts: readonly Buffer[], mayMake: boolean): Pin {
    let common = 0;
    while (common < parts.length && this.#below[common]?.name.equals(parts[common] ?? Buffer.alloc(0)) === true)
      common++;
    this.#cut(common);
    for (const part of parts.slice(common)) {
      const parent = this.#below.at(-1)?.pin ?? this.#root;
      if (mayMake) make(parent, part);
      this.#below.push({ name: Buffer.from(part), pin: parent.pinChild(part, { folder: true }) });
    }
    return this.#below.at(-1)?.pin ?? this.#root;
  }

  #cut(length: number): void {
    while (this.#below.length > length) this.#below.pop()?.pin[Symbol.dispose]();
  }
}

function make(parent: Pin, name: Buffer): void {
  try {
    mkdirSync(parent.child(name));
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw thrown; // that it is a folder is checked when it is pinned
  }
}
