import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, rm, rmdir, symlink, unlink } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { temporaryName } from '../../kernel/temporary-name.ts';
import type { Kept } from '../../wire/contract/changes.ts';
import { BlobReader } from './blob-reader.ts';
import { type BytePath, onDisk, parentOf, toApiPath } from './byte-path.ts';
import type { Git } from './git.ts';
import type { Side, TreeChange } from './tree-diff.ts';

export interface RestoreCounts {
  written: number;
  removed: number;
  readonly kept: Kept[];
}

interface RestoreParts {
  readonly git: Git;
  readonly workspace: string;
  /** From how it is to how it was, without renames: `after` is what is to be. */
  readonly changes: readonly TreeChange[];
  /** Why a file has to stay as it is, where it has to. */
  readonly keep: ReadonlyMap<BytePath, Kept['reason']>;
}

/**
 * Puts files back. Each one is whole at any time, the old or the new, and links are never followed. Nothing is removed
 * but files that are known to be in the way, and folders that are empty after that. Files that cannot be written are
 * kept, and named. A disk that is full ends it: DISK_FULL, with what was done in the details.
 */
export async function putBack({ git, workspace, changes, keep }: RestoreParts): Promise<RestoreCounts> {
  const counts: RestoreCounts = { written: 0, removed: 0, kept: [] };
  const keeping = (path: BytePath, reason: Kept['reason']): void => {
    counts.kept.push({ path: toApiPath(path), reason });
  };
  const tree = new WorkTree(workspace);
  const emptied = new Set<BytePath>();
  for (const { path, after } of changes) {
    const reason = keep.get(path);
    if (reason !== undefined) keeping(path, reason);
    else if (after === null) {
      if (await tree.remove(path)) counts.removed++;
      else keeping(path, 'denied');
      if (parentOf(path) !== '') emptied.add(parentOf(path));
    }
  }
  await tree.removeEmpty(emptied);
  using blobs = new BlobReader(git);
  for (const { path, after } of changes) {
    if (after === null || keep.has(path)) continue;
    const refusal = await tree.write(path, after, blobs).catch((thrown: unknown) => {
      throw diskError(thrown, counts);
    });
    if (refusal === undefined) counts.written++;
    else keeping(path, refusal);
  }
  return counts;
}

/** The files of the workspace, as they are written here. */
class WorkTree {
  readonly #workspace: string;

  constructor(workspace: string) {
    this.#workspace = workspace;
  }

  /** False where it may not be. What is gone, or has become a folder, counts as removed. */
  async remove(path: BytePath): Promise<boolean> {
    if (!(await this.#isFolder(parentOf(path)))) return true;
    try {
      await unlink(onDisk(path, this.#workspace));
    } catch (thrown) {
      return ['ENOENT', 'EISDIR', 'ENOTDIR'].includes(codeOf(thrown));
    }
    return true;
  }

  /** Folders in which something was removed, and theirs, where they are empty now. */
  async removeEmpty(folders: ReadonlySet<BytePath>): Promise<void> {
    const deepestFirst = [...folders].toSorted((one, other) => other.length - one.length);
    for (const folder of deepestFirst) {
      for (let at = folder; at !== ''; at = parentOf(at)) {
        try {
          await rmdir(onDisk(at, this.#workspace));
        } catch {
          break; // not empty, or not ours: it stays
        }
      }
    }
  }

  /** Why it could not be written; undefined when it was. Throws what the disk says. */
  async write(path: BytePath, side: Side, blobs: BlobReader): Promise<Kept['reason'] | undefined> {
    try {
      if (!(await this.#makeFolder(parentOf(path)))) return 'in_the_way';
      const target = onDisk(path, this.#workspace);
      const present = await lstat(target).catch(() => undefined);
      if (present?.isDirectory() === true) return 'in_the_way';
      const content = await blobs.read(side.object);
      const folder = parentOf(path);
      const name = temporaryName().toString();
      const temporary = onDisk(folder === '' ? name : `${folder}/${name}`, this.#workspace);
      try {
        if (side.mode === '120000') await symlink(content, temporary);
        else await writeNew(temporary, content, modeOf(side, present));
        await rename(temporary, target);
      } catch (thrown) {
        await rm(temporary, { force: true });
        throw thrown;
      }
      return undefined;
    } catch (thrown) {
      const code = codeOf(thrown);
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'denied';
      if (code === 'EISDIR' || code === 'ENOTEMPTY' || code === 'ENOTDIR' || code === 'EEXIST') return 'in_the_way';
      throw thrown;
    }
  }

  /** False where something that is no folder stands in the way. */
  async #makeFolder(folder: BytePath): Promise<boolean> {
    if (folder === '') return true;
    if (!(await this.#makeFolder(parentOf(folder)))) return false;
    const present = await lstat(onDisk(folder, this.#workspace)).catch(() => undefined);
    if (present !== undefined) return present.isDirectory();
    await mkdir(onDisk(folder, this.#workspace));
    return true;
  }

  async #isFolder(folder: BytePath): Promise<boolean> {
    if (folder === '') return true;
    if (!(await this.#isFolder(parentOf(folder)))) return false;
    return (await lstat(onDisk(folder, this.#workspace)).catch(() => undefined))?.isDirectory() === true;
  }
}

/** Whether there is anything at this name. */
export async function isThere(path: BytePath, workspace: string): Promise<boolean> {
  return (await lstat(onDisk(path, workspace)).catch(() => undefined)) !== undefined;
}

async function writeNew(path: Buffer, content: Buffer, mode: number): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await using file = await open(path, flags, 0o600);
  await file.writeFile(content);
  await file.chmod(mode);
}

/** Git knows only whether a file can be executed: for the rest it stays as it is. */
function modeOf({ mode }: Side, present: Stats | undefined): number {
  const now = present?.isFile() === true ? present.mode & 0o777 : 0o644;
  return mode === '100755' ? now | ((now & 0o444) >> 2) : now & ~0o111;
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

function diskError(thrown: unknown, { written, removed }: RestoreCounts): unknown {
  if (!['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(thrown))) return thrown;
  return new CaissonError('DISK_FULL', 'The disk of the sandbox is full: not all files could be put back.', {
    details: { written, removed },
    cause: thrown,
  });
}
