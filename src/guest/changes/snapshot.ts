import { accessSync, constants, lstatSync, opendirSync, type Stats } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { temporaryNameGlob } from '../../kernel/temporary-name.ts';
import { changesBounds, type LeftOut } from '../../wire/contract/changes.ts';
import { type BytePath, nulSeparated, onDisk, parentOf, splitNul, toApiPath } from './byte-path.ts';
import type { Git } from './git.ts';
import { emptyTree } from './repositories.ts';
import type { CheckpointStore } from './store.ts';

/** The workspace at one time. */
export interface Snapshot {
  /** The tree of git. */
  readonly tree: string;
  /** What the tree does not hold, although it is not ignored. */
  readonly leftOut: readonly LeftOut[];
}

/** Content that a snapshot may add to the store. */
const maxBytes = 2 * 1024 * 1024 * 1024;
/** Files that a snapshot may add or renew. */
const maxFiles = 200_000;
/** Two hundred thousand files take 2 s. It hangs where a `.gitignore` is a pipe, and checkpoints wait for it meanwhile. */
export const listingTimeoutMs = 10_000;
/** Above this many files the objects go into one pack: ten times as fast as a file each. */
const packFrom = 100;
/** Files looked at before others get their turn: 2 ms. */
const slice = 300;
/** Repositories in one another. */
const maxDepth = 16;
const emptyBlob = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391';
const attempts = 3;

/**
 * Takes snapshots through an index that is kept from one to the next, with git's own cache of what each file was: where
 * nothing has changed it is one `git ls-files`. Not to be used by two at a time.
 */
export class SnapshotTaker {
  readonly #git: Git;
  readonly #store: CheckpointStore;
  readonly #workspace: string;
  /** Of the index as it stands; undefined before it was written as a tree. */
  #tree: string | undefined;
  /** What is known not to be in the index. At most `maxFiles`. */
  #absent: ReadonlySet<BytePath> = new Set();

  constructor(parts: { readonly git: Git; readonly store: CheckpointStore; readonly workspace: string }) {
    this.#git = parts.git;
    this.#store = parts.store;
    this.#workspace = parts.workspace;
  }

  /**
   * Rejects with DISK_FULL, LIMIT_REACHED for a workspace that is too large, GIT_FAILED. Files that change while they are
   * read are read again, up to three times.
   */
  async take(signal?: AbortSignal): Promise<Snapshot> {
    await this.#store.open();
    if (this.#isUntouched()) return { tree: emptyTree, leftOut: [] };
    for (let attempt = 1; ; attempt++) {
      try {
        const { leftOut } = await this.#update(signal);
        this.#tree ??= await this.#writeTree(signal);
        return { tree: this.#tree, leftOut };
      } catch (thrown) {
        this.#tree = undefined;
        if (!(thrown instanceof CaissonError) || thrown.code !== 'GIT_FAILED' || attempt === attempts) throw thrown;
        await this.#store.mend();
        if (attempt === attempts - 1) await this.#forgetIndex(); // perhaps it is what is broken
      }
    }
  }

  /** Takes files into the index that are ignored, from now on. Those that cannot be are returned. */
  async include(paths: readonly BytePath[], signal?: AbortSignal): Promise<readonly LeftOut[]> {
    const sorted = await this.#sortOut(paths);
    this.#absent = new Set();
    await this.#apply(sorted, signal);
    return sorted.leftOut;
  }

  /** Whether there is nothing, and never was: as a new agent's workspace is, which no git has to be started for. */
  #isUntouched(): boolean {
    if (this.#store.hasIndex()) return false;
    try {
      using names = opendirSync(this.#workspace);
      return names.readSync() === null;
    } catch {
      return false; // git says why
    }
  }

  async #forgetIndex(): Promise<void> {
    this.#absent = new Set();
    await this.#store.forgetIndex();
  }

  async #update(signal: AbortSignal | undefined): Promise<Sorted> {
    let paths = await this.#list(signal);
    // A folder with a repository of its own is listed by its name only, until the index knows something in it.
    for (let depth = 0; depth < maxDepth; depth++) {
      const nested = paths.filter((path) => path.endsWith('/'));
      if (nested.length === 0) break;
      const seeds = nested.map((path) => `100644 ${emptyBlob} 0\t${path}.caisson-seed\0`).join('');
      await this.#git.run({
        args: ['update-index', '-z', '--index-info'],
        input: Buffer.from(seeds, 'latin1'),
        signal,
      });
      this.#tree = undefined;
      paths = await this.#list(signal);
    }
    const sorted = await this.#sortOut(paths.filter((path) => !path.endsWith('/')));
    await this.#apply({ ...sorted, absent: sorted.absent.filter((path) => !this.#absent.has(path)) }, signal);
    this.#absent = new Set(sorted.absent);
    return sorted;
  }

  /** What git does not know, or knows otherwise. */
  async #list(signal: AbortSignal | undefined): Promise<BytePath[]> {
    const listing = this.#git.run({
      args: ['ls-files', '-z', '--others', '--modified', '--exclude-standard', `--exclude=${temporaryNameGlob}`],
      timeoutMs: listingTimeoutMs,
      signal,
    });
    const output = await listing.catch((thrown: unknown) => {
      if (!(thrown instanceof CaissonError) || thrown.code !== 'DEADLINE_EXCEEDED') throw thrown;
      throw new CaissonError(
        'DEADLINE_EXCEEDED',
        `To list the workspace took longer than ${listingTimeoutMs / 1_000} s.`,
        {
          hint: 'If a .gitignore in it is a pipe, git waits for it: find it with `find . -name .gitignore -type p`.',
          cause: thrown,
        },
      );
    });
    const paths = [...new Set(splitNul(output))];
    if (paths.length > maxFiles) throw tooLarge(`more than ${maxFiles} files`);
    return paths;
  }

  async #apply({ present, absent }: Sorted, signal: AbortSignal | undefined): Promise<void> {
    if (present.length + absent.length === 0) return;
    this.#tree = undefined;
    const stdin = ['-z', '--stdin'];
    if (absent.length > 0) {
      const input = nulSeparated(absent);
      await this.#git.run({ args: ['update-index', '--force-remove', ...stdin], input, signal });
    }
    if (present.length === 0) return;
    const packing = present.length >= packFrom ? ['-c', 'core.bigFileThreshold=1'] : [];
    await this.#git.run({
      args: [...packing, 'update-index', '--add', '--remove', '--replace', ...stdin],
      input: nulSeparated(present),
      signal,
    });
  }

  async #writeTree(signal: AbortSignal | undefined): Promise<string> {
    const tree = (await this.#git.run({ args: ['write-tree'], signal })).toString().trim();
    if (!/^[0-9a-f]{40}$/.test(tree)) throw new CaissonError('GIT_FAILED', 'git wrote no tree.');
    return tree;
  }

  /** Git gives up all of its work at the first file that it cannot take, so it is given only what it can. */
  async #sortOut(paths: readonly BytePath[]): Promise<Sorted> {
    const present: BytePath[] = [];
    const absent: BytePath[] = [];
    const leftOut: LeftOut[] = [];
    const bare = this.#bareRepositories(paths);
    const folders = new Map<BytePath, boolean>();
    const hanging = new Map<BytePath, boolean>();
    let bytes = 0;
    const leave = (path: BytePath, reason: LeftOut['reason']): void => {
      absent.push(path);
      leftOut.push({ path: toApiPath(path), reason });
    };
    for (const folder of bare) leftOut.push({ path: toApiPath(folder), reason: 'repository' });
    for (const [index, path] of paths.entries()) {
      if (index % slice === slice - 1) await new Promise((resolve) => setImmediate(resolve));
      if (bare.size > 0 && isInOneOf(path, bare)) continue;
      const stats = this.#isReachable(parentOf(path), folders) ? this.#look(path) : undefined;
      if (stats === 'denied') leave(path, 'unreadable');
      else if (stats === undefined || stats.isDirectory()) absent.push(path);
      else if (this.#hangsGit(parentOf(path), hanging)) leave(path, 'special');
      else if (refusedName.test(path)) leave(path, 'name');
      else if (stats.isSymbolicLink() && refusedLink.test(path)) leave(path, 'name');
      else if (stats.isSymbolicLink()) present.push(path);
      else if (!stats.isFile()) leave(path, 'special');
      else if (stats.size > changesBounds.fileBytes) leave(path, 'too_large');
      else if (!this.#isReadable(path, stats)) leave(path, 'unreadable');
      else {
        bytes += stats.size;
        present.push(path);
      }
    }
    if (bytes > maxBytes) throw tooLarge('more than 2 GiB in files that are not ignored');
    return { present, absent, leftOut };
  }

  /** Folders that are git repositories themselves: a `HEAD` beside `objects` and `refs`. */
  #bareRepositories(paths: readonly BytePath[]): Set<BytePath> {
    const found = new Set<BytePath>();
    for (const path of paths) {
      if (path !== 'HEAD' && !path.endsWith('/HEAD')) continue;
      const folder = parentOf(path);
      const prefix = folder === '' ? '' : `${folder}/`;
      if (['objects', 'refs'].every((name) => this.#isFolder(prefix + name))) found.add(folder);
    }
    return found;
  }

  /** Whether all of a path's folders are folders, and no link is among them. */
  #isReachable(folder: BytePath, known: Map<BytePath, boolean>): boolean {
    if (folder === '') return true;
    let isReachable = known.get(folder);
    if (isReachable === undefined) {
      isReachable = this.#isReachable(parentOf(folder), known) && this.#isFolder(folder);
      known.set(folder, isReachable);
    }
    return isReachable;
  }

  /** Whether git would wait for the attributes of a folder, or of one above it, when it takes a file in. */
  #hangsGit(folder: BytePath, known: Map<BytePath, boolean>): boolean {
    let hangs = known.get(folder);
    if (hangs === undefined) {
      const attributes = this.#look(folder === '' ? '.gitattributes' : `${folder}/.gitattributes`);
      hangs =
        (typeof attributes === 'object' && attributes.isFIFO()) ||
        (folder !== '' && this.#hangsGit(parentOf(folder), known));
      known.set(folder, hangs);
    }
    return hangs;
  }

  #isFolder(path: BytePath): boolean {
    const stats = this.#look(path);
    return stats !== undefined && (stats === 'denied' || stats.isDirectory());
  }

  #look(path: BytePath): Stats | 'denied' | undefined {
    try {
      return lstatSync(onDisk(path, this.#workspace), { throwIfNoEntry: false });
    } catch (thrown) {
      const isDenied = thrown instanceof Error && 'code' in thrown && thrown.code === 'EACCES';
      return isDenied ? 'denied' : undefined; // else its folder is none any more
    }
  }

  #isReadable(path: BytePath, stats: Stats): boolean {
    if (stats.uid === process.getuid?.() && (stats.mode & 0o400) !== 0) return true;
    try {
      accessSync(onDisk(path, this.#workspace), constants.R_OK);
      return true;
    } catch {
      return false;
    }
  }
}

interface Sorted {
  /** For the index. */
  readonly present: readonly BytePath[];
  /** Not for the index, whether they are in it or not. */
  readonly absent: readonly BytePath[];
  readonly leftOut: readonly LeftOut[];
}

/** Git holds no name that could pass for its own folder. */
const refusedName = /(^|\/)\.git(\/|$)/i;
/** Nor a link that it would read for itself. */
const refusedLink = /(^|\/)\.gitmodules$/i;

function isInOneOf(path: BytePath, folders: ReadonlySet<BytePath>): boolean {
  for (let at: BytePath = path; ; at = parentOf(at)) {
    if (folders.has(at)) return true;
    if (at === '') return false;
  }
}

function tooLarge(what: string): CaissonError {
  return new CaissonError('LIMIT_REACHED', `The workspace is too large to be kept: ${what}.`, {
    hint: 'Put what needs no keeping into .gitignore.',
  });
}
