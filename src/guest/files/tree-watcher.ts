import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type BigIntStats, type FSWatcher, watch } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';
import { maxPathBytes, type WatchChange } from '../../wire/contract/files.ts';
import { ChangeRing } from './change-ring.ts';
import type { Confinement, Pin } from './confinement.ts';
import type { EventBurst } from './event-burst.ts';
import { isShortage } from './errno.ts';
import { typeOf } from './file-info.ts';
import { folderNames } from './folder-names.ts';
import { HeldFolder } from './held-folder.ts';
import { Pacer } from './pacer.ts';
import { parentAndName, type SandboxPath } from './sandbox-path.ts';
import { isGone } from './walk.ts';

/** Each costs the kernel about 1 KiB, and all sandboxes of a machine share its budget. */
const maxWatchedFolders = 4_096;
/** Changes of one name within this time are one. */
const debounceMs = 50;
/** Names that changed and were not looked at yet; above it watchers are told that changes were lost. */
const maxPending = 16_384;
/** Until a folder that could not be watched for want of watches, descriptors or memory is tried again. */
const retryMs = 5_000;

interface Events {
  /** There is more in the ring, or `isIncomplete` or `ended` has changed. */
  news: [];
}

export interface TreeWatcherOptions {
  readonly recursive: boolean;
  /** Names of folders that are not gone into. */
  readonly exclude: readonly string[];
  readonly burst: EventBurst;
}

interface WatchedFolder {
  readonly watcher: FSWatcher;
  readonly dev: bigint;
  readonly ino: bigint;
  /** The folder said of itself that it was removed or moved: its watch may be dead, or tell of another place. */
  mayHaveLeft: boolean;
}

/**
 * Watches one folder, or a tree, by a watch on each folder (inotify). What it sees goes into a ring, debounced. Above 4,096
 * folders the rest of the tree is not watched, which `isIncomplete` says; the nearest to the top come first. What the kernel
 * refuses for want of watches or descriptors is tried again every 5 s, until all is watched. Where changes were lost the
 * ring says so, and the tree is gone through again. When the watched folder itself is removed, `ended` says
 * so. Nothing is looked at by its path alone: a folder that was exchanged for a link tells nothing of what that leads to.
 */
export class TreeWatcher extends EventEmitter<Events> {
  readonly ring = new ChangeRing(randomBytes(6).toString('hex'));
  readonly #confinement: Confinement;
  readonly #root: SandboxPath;
  readonly #rootKey: string;
  readonly #recursive: boolean;
  readonly #excluded: ReadonlySet<string>;
  readonly #burst: EventBurst;
  /** By path, in latin1: its bytes. So are the next three. */
  readonly #watches = new Map<string, WatchedFolder>();
  /** To be watched, or gone through again, in their order. */
  readonly #toWatch = new Set<string>();
  /** Could not be watched, or gone through, this time. */
  readonly #refused = new Set<string>();
  #pending = new Set<string>();
  /** Where the root is, without links. */
  #location: Buffer = Buffer.alloc(0);
  #isStarted = false;
  #timer: NodeJS.Timeout | undefined;
  #isSettling = false;
  #isClosed = false;
  /** For good. */
  #isIncomplete = false;
  /** Since something was refused, until it is watched. */
  #isShort = false;
  #retry: NodeJS.Timeout | undefined;
  #ended: CaissonError | undefined;

  constructor(confinement: Confinement, root: SandboxPath, { recursive, exclude, burst }: TreeWatcherOptions) {
    super();
    this.setMaxListeners(0);
    this.#confinement = confinement;
    this.#root = root;
    this.#rootKey = root.bytes.toString('latin1');
    this.#recursive = recursive;
    this.#excluded = new Set(exclude);
    this.#burst = burst;
  }

  get isIncomplete(): boolean {
    return this.#isIncomplete || this.#isShort;
  }

  get watchedFolders(): number {
    return this.#watches.size;
  }

  /** Why nothing will be told any more: FILE_NOT_FOUND, the watched folder is gone. */
  get ended(): CaissonError | undefined {
    return this.#ended;
  }

  /** Resolves when the whole tree is watched, as far as it is. Throws where there is no such folder. */
  async start(): Promise<void> {
    {
      using root = this.#confinement.pin(this.#root, { folder: true });
      this.#location = root.location();
    }
    this.#burst.join(this.#lose);
    this.#toWatch.add(this.#rootKey);
    await this.#settle();
    this.#isStarted = true;
  }

  close(): void {
    this.#isClosed = true;
    this.#burst.leave(this.#lose);
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    for (const { watcher } of this.#watches.values()) watcher.close();
    this.#watches.clear();
    this.removeAllListeners();
  }

  #note(folder: string, kind: string, name: Buffer | null): void {
    this.#burst.count();
    if (name === null || this.#isClosed) return;
    if (!name.equals(itself)) {
      if (!isTemporaryName(name)) this.#pend(`${folder}/${name.toString('latin1')}`);
      return;
    }
    // Mode and times of the folder itself are told by the watch on the one above it.
    if (kind !== 'rename') return;
    const watched = this.#watches.get(folder);
    if (watched !== undefined) watched.mayHaveLeft = true;
    this.#pend(folder);
  }

  #pend(key: string): void {
    if (this.#pending.size >= maxPending) this.#lose();
    else this.#pending.add(key);
    this.#wake();
  }

  /** Changes were not seen: watchers are told, and the tree is gone through for folders that are new. */
  readonly #lose = (): void => {
    this.#pending.clear();
    this.ring.lose();
    this.#toWatch.add(this.#rootKey);
    this.emit('news');
    this.#wake();
  };

  #wake(): void {
    if (this.#isSettling || this.#isClosed || this.#ended !== undefined) return;
    this.#timer ??= setTimeout(() => void this.#settle(), debounceMs);
  }

  /** Looks at what has changed, and watches what is new, one after the other. Never rejects. */
  async #settle(): Promise<void> {
    this.#timer = undefined;
    this.#isSettling = true;
    try {
      const pacer = new Pacer();
      await this.#lookAtPending(pacer);
      let lookedAt = performance.now();
      for (;;) {
        const [next] = this.#toWatch;
        if (next === undefined || this.#isClosed) break;
        this.#toWatch.delete(next);
        await this.#watchFolder(next, pacer);
        if (performance.now() - lookedAt < debounceMs) continue;
        await this.#lookAtPending(pacer);
        lookedAt = performance.now();
      }
    } catch (thrown) {
      // Whatever it was, some folder may now be unwatched and some change untold: that is what watchers have to know.
      this.#miss(this.#rootKey, thrown);
      this.ring.lose();
      this.emit('news');
    }
    this.#isSettling = false;
    this.#settleRefused();
    if (this.#pending.size > 0 || this.#toWatch.size > 0) this.#wake();
  }

  /** What was refused is tried again later. Once nothing is, all is watched, and what changed meanwhile is lost. */
  #settleRefused(): void {
    if (this.#isClosed || this.#ended !== undefined) return;
    if (this.#refused.size > 0) {
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        for (const key of this.#refused) this.#toWatch.add(key);
        this.#refused.clear();
        this.#wake();
      }, retryMs);
      return;
    }
    if (!this.#isShort || this.#toWatch.size > 0) return;
    this.#isShort = false;
    this.ring.lose();
    this.emit('news');
  }

  async #lookAtPending(pacer: Pacer): Promise<void> {
    const pending = this.#pending;
    this.#pending = new Set();
    using held = new HeldFolder((path) => this.#pin(path));
    const changes: WatchChange[] = [];
    const tell = (): void => {
      if (changes.length === 0) return;
      this.ring.push(changes.splice(0));
      this.emit('news');
    };
    for (const key of pending) {
      if (pacer.isDue) {
        tell();
        held[Symbol.dispose]();
        await pacer.rest();
      }
      if (this.#isClosed) return;
      if (key === this.#rootKey) continue;
      const change = this.#lookAt(key, held);
      if (change !== undefined) changes.push(change);
    }
    tell();
    this.#lookAtRoot();
  }

  #lookAt(key: string, held: HeldFolder): WatchChange | undefined {
    const path = Buffer.from(key, 'latin1');
    if (path.length > maxPathBytes) {
      this.#giveUp(); // nobody could name it
      return undefined;
    }
    const { parent, name } = parentAndName(path);
    const stats = lookUp(held.at(parent), name);
    const type = stats === undefined ? null : typeOf(stats);
    const watched = this.#watches.get(key);
    if (watched !== undefined && (stats === undefined || !isStill(watched, stats))) this.#forgetTree(key);
    if (stats?.isDirectory() === true && !this.#watches.has(key)) this.#queue(key, name);
    return { path: pathFromBytes(path), kind: stats === undefined ? 'removed' : 'changed', type };
  }

  /** It may have been removed and made again, which no other watch tells. */
  #lookAtRoot(): void {
    const watched = this.#watches.get(this.#rootKey);
    try {
      using root = this.#pin(this.#root.bytes);
      if (watched === undefined || isStill(watched, root.stat())) return;
      this.#forgetTree(this.#rootKey);
      this.#toWatch.add(this.#rootKey);
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown;
      this.#end();
    }
  }

  #queue(key: string, name: Buffer): void {
    if (!this.#recursive || this.#excluded.has(pathFromBytes(name))) return;
    if (this.#watches.size + this.#toWatch.size + this.#refused.size < 2 * maxWatchedFolders) this.#toWatch.add(key);
    else this.#giveUp();
  }

  /** Watches a folder, and queues those in it. What is in a new one is told, since it may be older than its watch. */
  async #watchFolder(key: string, pacer: Pacer): Promise<void> {
    const path = Buffer.from(key, 'latin1');
    try {
      using folder = this.#pin(path);
      const { dev, ino } = folder.stat();
      const known = this.#watches.get(key);
      const isNew = known === undefined || !isStill(known, { dev, ino });
      if (isNew && !this.#watchPinned(key, folder, { dev, ino })) return;
      const tell = isNew && this.#isStarted;
      if (!this.#recursive && !tell) return;
      for (const name of await folderNames(folder, pacer)) {
        if (this.#isClosed) return;
        const stats = folder.lookUp(name);
        if (stats === undefined || isTemporaryName(name)) continue;
        const below = Buffer.concat([path, slash, name]);
        if (below.length > maxPathBytes) this.#giveUp();
        else {
          if (tell) this.ring.push([{ path: pathFromBytes(below), kind: 'changed', type: typeOf(stats) }]);
          if (stats.isDirectory()) this.#queue(below.toString('latin1'), name);
        }
        if (!pacer.isDue) continue;
        this.emit('news');
        await pacer.rest();
      }
    } catch (thrown) {
      if (!isGone(thrown)) this.#miss(key, thrown);
    }
    this.emit('news');
  }

  /** Whether it is watched now. */
  #watchPinned(key: string, folder: Pin, identity: { readonly dev: bigint; readonly ino: bigint }): boolean {
    if (this.#watches.has(key)) this.#forgetTree(key);
    if (this.#watches.size >= maxWatchedFolders) {
      this.#giveUp();
      return false;
    }
    // The dot is how libuv names the folder in events of its own: no file in it has that name.
    const watcher = watch(`${folder.via}/.`, { persistent: false, encoding: 'buffer' }, (kind, name) =>
      this.#note(key, kind, name),
    );
    watcher.on('error', () => this.#forgetTree(key)); // the folder is gone
    this.#watches.set(key, { watcher, ...identity, mayHaveLeft: false });
    return true;
  }

  /** Pins a folder of the tree. Throws what `isGone` knows where it is not at its place, but behind a link. */
  #pin(path: Buffer): Pin {
    const text = pathFromBytes(path);
    const pin = this.#confinement.pin({ bytes: path, text }, { folder: true });
    const below = path.subarray(this.#root.bytes.length);
    if (pin.location().equals(Buffer.concat([this.#location, below]))) return pin;
    pin[Symbol.dispose]();
    throw new CaissonError('FILE_NOT_FOUND', `${JSON.stringify(text)} is elsewhere.`);
  }

  /** A folder is not watched, or was not gone through: for now, or (too many names in it) for good. */
  #miss(key: string, thrown: unknown): void {
    if (!isShortage(thrown)) {
      this.#giveUp();
      return;
    }
    this.#refused.add(key);
    this.#isShort = true;
  }

  #giveUp(): void {
    if (this.#isIncomplete) return;
    this.#isIncomplete = true;
    this.emit('news');
  }

  #end(): void {
    const { text } = this.#root;
    this.#forgetTree(this.#rootKey);
    this.#toWatch.clear();
    this.#ended = new CaissonError('FILE_NOT_FOUND', `${JSON.stringify(text)} was removed: it is watched no more.`, {
      details: { path: text },
    });
    this.emit('news');
  }

  /** A folder that was moved away would otherwise go on to be told of under its old name. */
  #forgetTree(key: string): void {
    for (const [path, { watcher }] of this.#watches) {
      if (path !== key && !path.startsWith(`${key}/`)) continue;
      watcher.close();
      this.#watches.delete(path);
    }
  }
}

/** Undefined also where nobody could tell what is there: its folder may not be entered any more. */
function lookUp(folder: Pin | undefined, name: Buffer): BigIntStats | undefined {
  try {
    return folder?.lookUp(name);
  } catch (thrown) {
    if (isGone(thrown)) return undefined;
    throw thrown;
  }
}

function isStill(watched: WatchedFolder, { dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): boolean {
  return !watched.mayHaveLeft && watched.dev === dev && watched.ino === ino;
}

const slash = Buffer.from('/');
const itself = Buffer.from('.');
