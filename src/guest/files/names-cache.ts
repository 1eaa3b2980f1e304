import { maxFolderEntries } from '../../wire/contract/files.ts';
import type { Pin } from './confinement.ts';
import { folderNames } from './folder-names.ts';
import type { Pacer } from './pacer.ts';

/** Of all folders together: as many as one may have. Above it the folder that was used least lately goes. */
const maxNames = maxFolderEntries;
/** A reader who has not come for the next page in this time reads the folder again. */
const idleMs = 30_000;

interface Kept {
  readonly state: string;
  readonly names: readonly Buffer[];
  readonly forget: NodeJS.Timeout;
}

/**
 * The sorted names of folders that are read page by page, so that not each page reads all of the folder. Only for pages
 * behind the first: they may miss what changes in between, and times of the kernel are too coarse to see all of that.
 */
export class NamesCache {
  /** By inode, the one that was used least lately first. */
  readonly #kept = new Map<string, Kept>();
  #count = 0;

  /** What was kept, while the folder is as it was then; else what is in it now. */
  async continued(folder: Pin, pacer: Pacer): Promise<readonly Buffer[]> {
    const { key, state } = identify(folder);
    const kept = this.#kept.get(key);
    if (kept === undefined) return await folderNames(folder, pacer);
    this.#forget(key);
    if (kept.state !== state) return await folderNames(folder, pacer);
    this.#put(key, state, kept.names);
    return kept.names;
  }

  /** The folder was as `state` says before `names` were read: what changed it since is seen by `continued`. */
  keep({ key, state }: FolderIdentity, names: readonly Buffer[]): void {
    this.#forget(key);
    this.#put(key, state, names);
  }

  #put(key: string, state: string, names: readonly Buffer[]): void {
    const forget = setTimeout(() => this.#forget(key), idleMs);
    forget.unref();
    this.#kept.set(key, { state, names, forget });
    this.#count += names.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#count <= maxNames || oldest === key) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    clearTimeout(kept.forget);
    this.#kept.delete(key);
    this.#count -= kept.names.length;
  }
}

interface FolderIdentity {
  readonly key: string;
  readonly state: string;
}

/** Which folder it is, and how it is: both change when something else is in its place or in it. */
export function identify(folder: Pin): FolderIdentity {
  const { dev, ino, mtimeNs, ctimeNs } = folder.stat();
  return { key: `${dev}:${ino}`, state: `${mtimeNs}:${ctimeNs}` };
}
