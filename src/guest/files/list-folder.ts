import { pathFromBytes } from '../../kernel/file-path.ts';
import { type FileInfo, type FileList, maxDepth, maxListNameBytes } from '../../wire/contract/files.ts';
import type { Confinement, Pin } from './confinement.ts';
import { fileInfo } from './file-info.ts';
import { folderNames } from './folder-names.ts';
import { identify, type NamesCache } from './names-cache.ts';
import { Pacer } from './pacer.ts';
import { splitPath, type SandboxPath } from './sandbox-path.ts';
import { isGone } from './walk.ts';

export interface ListOptions {
  readonly recursive: boolean;
  /** A path below the folder, relative to it: the page begins after it. */
  readonly after: Buffer | undefined;
  readonly limit: number;
  readonly signal: AbortSignal;
}

/**
 * One page of what a folder holds, in the order of the bytes of its names; recursively, each folder is followed by what is
 * in it. Links are listed, never followed. What changes between two pages may be missed or not, but nothing else is.
 */
export async function listFolder(
  confinement: Confinement,
  cache: NamesCache,
  path: SandboxPath,
  options: ListOptions,
): Promise<FileList> {
  using folder = confinement.pin(path, { folder: true });
  const page = new Page(options, cache);
  const after = options.after === undefined ? [] : splitPath(options.after);
  await page.add(folder, [], after);
  return { entries: page.entries, next: page.next };
}

class Page {
  readonly entries: FileInfo[] = [];
  /** Set when the page is full. */
  next: string | null = null;
  readonly #options: ListOptions;
  readonly #cache: NamesCache;
  readonly #pacer: Pacer;
  #last: readonly Buffer[] = [];
  #bytes = 0;

  constructor(options: ListOptions, cache: NamesCache) {
    this.#options = options;
    this.#cache = cache;
    this.#pacer = new Pacer(options.signal);
  }

  /** Adds what comes after `after` in `folder`, whose place in the listed one is `above`. */
  async add(folder: Pin, above: readonly Buffer[], after: readonly Buffer[]): Promise<void> {
    const [begun, ...below] = after;
    const identity = identify(folder);
    const names =
      begun === undefined ? await folderNames(folder, this.#pacer) : await this.#cache.continued(folder, this.#pacer);
    for (let at = begun === undefined ? 0 : placeOf(begun, names); at < names.length; at++) {
      const name = names[at];
      if (name === undefined) break;
      const isBegun = begun?.equals(name) === true;
      const here = [...above, name];
      const isFolder = isBegun ? folder.lookUp(name)?.isDirectory() === true : this.#take(folder, name, here);
      if (isFolder && this.next === null && this.#options.recursive && here.length < maxDepth) {
        await this.#descend(folder, name, here, isBegun ? below : []);
      }
      if (this.next !== null) {
        this.#cache.keep(identity, names);
        return;
      }
      if (this.#pacer.isDue) await this.#pacer.rest();
    }
  }

  /** Whether it is a folder. Something that is gone by now is left out. */
  #take(folder: Pin, name: Buffer, here: readonly Buffer[]): boolean {
    const stats = folder.lookUp(name);
    if (stats === undefined) return false;
    if (this.entries.length >= this.#options.limit || this.#bytes >= maxListNameBytes) {
      this.next = pathFromBytes(joined(this.#last));
      return false;
    }
    const path = Buffer.concat([folder.path.bytes, slash, name]);
    this.#bytes += path.length;
    this.#last = here;
    this.entries.push(fileInfo(pathFromBytes(path), stats, () => folder.child(name)));
    return stats.isDirectory();
  }

  async #descend(folder: Pin, name: Buffer, here: readonly Buffer[], after: readonly Buffer[]): Promise<void> {
    try {
      using child = folder.pinChild(name, { folder: true });
      await this.add(child, here, after);
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown; // removed, replaced, or not ours to read: its own entry is all that can be told
    }
  }
}

/** Where `name` is among sorted names, or would be. */
function placeOf(name: Buffer, names: readonly Buffer[]): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(names[middle] ?? name, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function joined(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((part, at) => (at === 0 ? [part] : [slash, part])));
}

const slash = Buffer.from('/');
