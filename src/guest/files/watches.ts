import { once } from 'node:events';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { WatchItem, WatchRequest } from '../../wire/contract/files.ts';
import type { Confinement } from './confinement.ts';
import { EventBurst } from './event-burst.ts';
import type { ItemStream } from './item-stream.ts';
import type { SandboxPath } from './sandbox-path.ts';
import { TreeWatcher } from './tree-watcher.ts';

/** Trees that are watched at the same time; several people on one tree share it. */
const maxTrees = 8;
/** How long a tree is watched for somebody who may come back with a cursor. */
const lingerMs = 60_000;
/** Of one tree. */
const maxReaders = 64;

/** Where they go: an `ItemStream`. */
export type WatchItems = Pick<ItemStream<WatchItem>, 'gone' | 'send' | 'end'>;

interface Watched {
  readonly key: string;
  readonly tree: TreeWatcher;
  readonly started: Promise<void>;
  readers: number;
  leave: NodeJS.Timeout | undefined;
}

/** The trees that are watched, each for all who ask for it. */
export class Watches {
  readonly #confinement: Confinement;
  readonly #watched = new Map<string, Watched>();
  readonly #burst = new EventBurst();

  constructor(confinement: Confinement) {
    this.#confinement = confinement;
  }

  /** Sends what changes, until the reader leaves. LIMIT_REACHED above 8 trees, or 64 readers of one. */
  async run(path: SandboxPath, request: WatchRequest, open: () => WatchItems): Promise<void> {
    const watched = this.#enter(path, request);
    try {
      await watched.started;
      const items = open();
      try {
        await follow(watched.tree, request.cursor, items);
      } catch (thrown) {
        if (!items.gone.aborted) items.end(toCaissonError(thrown));
      }
    } finally {
      this.#leave(watched);
    }
  }

  close(): void {
    for (const watched of this.#watched.values()) this.#close(watched);
  }

  #enter(path: SandboxPath, { recursive, exclude }: WatchRequest): Watched {
    const key = JSON.stringify([path.text, recursive, [...exclude].sort()]);
    const there = this.#watched.get(key);
    if (there?.tree.ended !== undefined) this.#close(there); // its folder may have been made again
    const known = this.#watched.get(key) ?? this.#begin(key, path, { recursive, exclude });
    if (known.readers >= maxReaders) {
      throw new CaissonError('LIMIT_REACHED', `${maxReaders} are watching ${JSON.stringify(path.text)} already.`);
    }
    known.readers += 1;
    clearTimeout(known.leave);
    return known;
  }

  #begin(key: string, path: SandboxPath, options: { recursive: boolean; exclude: readonly string[] }): Watched {
    const idle = [...this.#watched.values()].find(({ readers }) => readers === 0);
    if (this.#watched.size >= maxTrees && idle !== undefined) this.#close(idle);
    if (this.#watched.size >= maxTrees) {
      throw new CaissonError('LIMIT_REACHED', `${maxTrees} folders of this sandbox are watched already.`, {
        hint: 'Watch one folder that holds the others, or end a watch.',
        details: { limit: maxTrees },
      });
    }
    const tree = new TreeWatcher(this.#confinement, path, { ...options, burst: this.#burst });
    const watched: Watched = { key, tree, started: tree.start(), readers: 0, leave: undefined };
    this.#watched.set(key, watched);
    watched.started.catch(() => this.#close(watched)); // each reader hears why
    return watched;
  }

  #leave(watched: Watched): void {
    watched.readers -= 1;
    if (watched.readers > 0) return;
    watched.leave = setTimeout(() => this.#close(watched), lingerMs);
    watched.leave.unref();
  }

  #close(watched: Watched): void {
    clearTimeout(watched.leave);
    watched.tree.close();
    if (this.#watched.get(watched.key) === watched) this.#watched.delete(watched.key);
  }
}

async function follow(tree: TreeWatcher, cursor: string | null, items: WatchItems): Promise<void> {
  const { ring } = tree;
  const resumed = ring.resume(cursor);
  let seq = resumed ?? ring.last;
  let toldIncomplete = false;
  await items.send({ type: 'ready', cursor: ring.cursor(seq), resumed: resumed !== undefined });
  for (;;) {
    if (tree.isIncomplete !== toldIncomplete) {
      toldIncomplete = tree.isIncomplete;
      const cursor = ring.cursor(seq);
      const { watchedFolders } = tree;
      await items.send(toldIncomplete ? { type: 'incomplete', cursor, watchedFolders } : { type: 'complete', cursor });
    }
    const next = ring.next(seq);
    if (next === undefined) {
      if (tree.ended !== undefined) throw tree.ended;
      await once(tree, 'news', { signal: items.gone });
    } else {
      await items.send(next.item);
      ({ seq } = next);
    }
  }
}
