import { randomBytes } from 'node:crypto';
import { type FSWatcher, lstatSync, watch } from 'node:fs';
import { EventEmitter } from 'node:events';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';
import { maxDepth, type WatchChange } from '../../wire/contract/files.ts';
import { ChangeRing } from './change-ring.ts';
import type { Confinement } from './confinement.ts';
import { typeOf } from './file-info.ts';
import { folderNames } from './folder-names.ts';
import { Pacer } from './pacer.ts';
import { parentAndName, type SandboxPath } from './sandbox-path.ts';
import { isGone } from './walk.ts';

/** Each costs the kernel about 1 KiB, and all sandboxes of a machine share its budget. */
const maxWatchedFolders = 4_096;
/** Changes of one name within this time are one. */
const debounceMs = 50;
/** Names that changed within the debounce; above it watchers are told that changes were lost. */
const maxPending = 16_384;

interface Events {
  /** There is more in the ring, or `isIncomplete` has become true. */
  news: [];
}

/**
 * Watches one folder, or a tree, by a watch on each folder (inotify). What it sees goes into a ring, debounced. Above 4,096
 * folders the rest of the tree is not watched, which `isIncomplete` says; the nearest to the top come first.
 */
export class TreeWatcher extends EventEmitter<Events> {
  readonly ring = new ChangeRing(randomBytes(6).toString('hex'));
  readonly #confinement: Confinement;
  readonly #root: SandboxPath;
  readonly #recursive: boolean;
  readonly #excluded: ReadonlySet<string>;
  /** By path, in latin1: its bytes. */
  readonly #watches = new Map<string, FSWatcher>();
  readonly #pending = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isIncomplete = false;

  constructor(
    confinement: Confinement,
    root: SandboxPath,
    options: { recursive: boolean; exclude: readonly string[] },
  ) {
    super();
    this.setMaxListeners(0);
    this.#confinement = confinement;
    this.#root = root;
    this.#recursive = options.recursive;
    this.#excluded = new Set(options.exclude);
  }

  get isIncomplete(): boolean {
    return this.#isIncomplete;
  }

  get watchedFolders(): number {
    return this.#watches.size;
  }

  /** Resolves when the whole tree is watched, as far as it is. Throws where there is no such folder. */
  async start(): Promise<void> {
    this.#confinement.pin(this.#root, { folder: true })[Symbol.dispose]();
    await this.#watchBelow(this.#root.bytes, undefined);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watches.values()) watcher.close();
    this.#watches.clear();
    this.removeAllListeners();
  }

  /** Breadth first. What is in a folder that came into being is told, since it may be older than its watch. */
  async #watchBelow(top: Buffer, tell: ((path: Buffer) => void) | undefined): Promise<void> {
    const queue: { readonly path: Buffer; readonly depth: number }[] = [{ path: top, depth: 0 }];
    const pacer = new Pacer();
    for (let at = 0; at < queue.length && !this.#isClosed; at++) {
      const next = queue[at];
      if (next === undefined || !this.#watchFolder(next.path)) continue;
      if (pacer.isDue) await pacer.rest();
      if (!this.#recursive && tell === undefined) return;
      for (const name of await this.#namesIn(next.path)) {
        if (this.#isClosed) return;
        const path = Buffer.concat([next.path, slash, name]);
        tell?.(path);
        if (pacer.isDue) await pacer.rest();
        const isFolder = lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
        if (!isFolder || !this.#recursive || next.depth >= maxDepth || this.#excluded.has(pathFromBytes(name)))
          continue;
        if (queue.length < 2 * maxWatchedFolders) queue.push({ path, depth: next.depth + 1 });
      }
    }
  }

  async #namesIn(path: Buffer): Promise<readonly Buffer[]> {
    try {
      using pin = this.#confinement.pin({ bytes: path, text: pathFromBytes(path) }, { folder: true });
      return await folderNames(pin);
    } catch (thrown) {
      if (isGone(thrown)) return [];
      throw thrown;
    }
  }

  /** Whether it is watched now. */
  #watchFolder(path: Buffer): boolean {
    const key = path.toString('latin1');
    if (this.#watches.has(key)) return true;
    if (this.#watches.size >= maxWatchedFolders) {
      this.#giveUp();
      return false;
    }
    try {
      using pin = this.#confinement.pin({ bytes: path, text: pathFromBytes(path) }, { folder: true });
      const watcher = watch(pin.via, { persistent: false, encoding: 'buffer' }, (_kind, name) =>
        this.#note(path, name),
      );
      watcher.on('error', () => this.#forget(key)); // the folder is gone
      this.#watches.set(key, watcher);
      return true;
    } catch (thrown) {
      if (isGone(thrown)) return false;
      this.#giveUp(); // the machine's watches are used up
      return false;
    }
  }

  #giveUp(): void {
    if (this.#isIncomplete) return;
    this.#isIncomplete = true;
    this.emit('news');
  }

  #forget(key: string): void {
    this.#watches.get(key)?.close();
    this.#watches.delete(key);
  }

  #note(folder: Buffer, name: Buffer | null): void {
    if (name === null || this.#isClosed || isTemporaryName(name)) return;
    this.#pend(Buffer.concat([folder, slash, name]));
  }

  #pend(path: Buffer): void {
    if (this.#pending.size >= maxPending) this.#flush();
    this.#pending.add(path.toString('latin1'));
    this.#timer ??= setTimeout(() => this.#flush(), debounceMs);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const changes: WatchChange[] = [];
    for (const key of this.#pending) {
      const path = Buffer.from(key, 'latin1');
      const stats = lstatSync(path, { throwIfNoEntry: false });
      const type = stats === undefined ? null : typeOf(stats);
      changes.push({ path: pathFromBytes(path), kind: stats === undefined ? 'removed' : 'changed', type });
      if (type !== 'directory') this.#forgetTree(key);
      else if (
        this.#recursive &&
        !this.#watches.has(key) &&
        !this.#excluded.has(pathFromBytes(parentAndName(path).name))
      ) {
        void this.#watchBelow(path, (found) => this.#pend(found)).catch(() => this.#giveUp());
      }
    }
    this.#pending.clear();
    if (changes.length === 0) return;
    this.ring.push(changes);
    this.emit('news');
  }

  /** A folder that was moved away would otherwise go on to be told of under its old name. */
  #forgetTree(key: string): void {
    if (!this.#watches.has(key)) return;
    for (const watched of this.#watches.keys()) {
      if (watched === key || watched.startsWith(`${key}/`)) this.#forget(watched);
    }
  }
}

const slash = Buffer.from('/');
