import { lstatSync, readlinkSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { pathBelow } from './half-file.ts';
import { isPlainHere, isUp, slash, split } from './path-parts.ts';

/** Links on the way of one link: as many as Linux follows. */
const maxHops = 40;
/** Longer ones no system follows. */
const maxTargetBytes = 4_095;

/**
 * Which links may be made in a folder of this machine, by whoever is not trusted, so that nobody comes out of it through them,
 * in whatever order they come, with one archive or several. A link may go up only at its beginning, where it passes through
 * real folders: after a name it could come to a link, whose `..` is another. It may pass through no link that leads out.
 * And it may lead to no folder from which a link that was there before leads out: any link that names more behind this one,
 * and was made before it, would come there too.
 */
export class InnerLinks {
  readonly #root: Buffer;
  #withWayOut: ReadonlySet<string> | undefined;

  /** `isNew`: nothing was in the folder. */
  constructor(root: Buffer, isNew: boolean) {
    this.#root = root;
    if (isNew) this.#withWayOut = new Set();
  }

  /** Whether a link in `above`, a folder of real folders, may have this target. */
  async mayLead(above: readonly Buffer[], target: Buffer): Promise<boolean> {
    const to = endOf(this.#root, above, target);
    if (to === undefined) return false;
    const folder = folderId(this.#root, to);
    if (folder === undefined) return true; // what becomes a folder there later has no other links than these
    this.#withWayOut ??= await foldersWithWayOut(this.#root);
    return !this.#withWayOut.has(folder);
  }
}

/**
 * Those from which names alone lead out, by the links that are there: because such a link is in one, or a folder or link that
 * leads to one. What cannot be looked into counts. Keeps a few words for each folder and link, and lets others work meanwhile.
 */
async function foldersWithWayOut(root: Buffer): Promise<ReadonlySet<string>> {
  const entrances = new Map<string, string[]>();
  const ahead: string[] = [];
  const walk = async (at: readonly Buffer[]): Promise<void> => {
    const folder = folderId(root, at);
    if (folder === undefined) return;
    const entries = await readdir(pathOf(root, at), { withFileTypes: true, encoding: 'buffer' }).catch(() => undefined);
    if (entries === undefined) ahead.push(folder);
    for (const entry of entries ?? []) {
      const isLink = entry.isSymbolicLink();
      if (!isLink && !entry.isDirectory()) continue;
      const below = [...at, entry.name];
      const to = isLink ? endOf(root, at, targetOf(pathOf(root, below)) ?? Buffer.alloc(0)) : below;
      const next = to === undefined ? undefined : folderId(root, to);
      if (to === undefined || (next === undefined && !isLink)) ahead.push(folder);
      else if (next !== undefined) {
        const known = entrances.get(next);
        if (known === undefined) entrances.set(next, [folder]);
        else known.push(folder);
      }
      if (!isLink) await walk(below);
    }
  };
  await walk([]);
  const found = new Set<string>();
  for (let folder = ahead.pop(); folder !== undefined; folder = ahead.pop()) {
    if (found.has(folder)) continue;
    found.add(folder);
    for (const entrance of entrances.get(folder) ?? []) ahead.push(entrance);
  }
  return found;
}

/** Where a link in the folder `above` ends, as real names below `root`; undefined where it leads out, or could. */
function endOf(root: Buffer, above: readonly Buffer[], target: Buffer): readonly Buffer[] | undefined {
  if (isElsewhere(target)) return undefined;
  const ahead = split(target);
  const firstName = ahead.findIndex((part) => !isUp(part));
  if (firstName >= 0 && ahead.slice(firstName).some(isUp)) return undefined;
  const at = [...above];
  let hops = 0;
  for (let part = ahead.shift(); part !== undefined; part = ahead.shift()) {
    if (isUp(part)) {
      if (at.pop() === undefined) return undefined;
      continue;
    }
    if (!isPlainHere(part)) return undefined;
    const next = targetOf(pathOf(root, [...at, part]));
    if (next === undefined) at.push(part);
    else if (isElsewhere(next) || ++hops > maxHops) return undefined;
    else ahead.unshift(...split(next));
  }
  return at;
}

/** Undefined for what is no link. */
function targetOf(path: Buffer): Buffer | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path, { encoding: 'buffer' }) : undefined;
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return Buffer.alloc(0); // it cannot be told: as good as one that leads out
  }
}

/** Not its name, which a file system may know in several forms. Undefined for what is no folder, or cannot be told. */
function folderId(root: Buffer, parts: readonly Buffer[]): string | undefined {
  try {
    const stats = statSync(pathOf(root, parts), { bigint: true }); // the root may be given by a link; the rest is none
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}` : undefined;
  } catch {
    return undefined; // `endOf` and the walk know what to make of that
  }
}

function pathOf(root: Buffer, parts: readonly Buffer[]): Buffer {
  return parts.reduce(pathBelow, root);
}

/** By its first byte, or because nobody could follow it. */
function isElsewhere(target: Buffer): boolean {
  return target.length === 0 || target.length > maxTargetBytes || target[0] === slash;
}
