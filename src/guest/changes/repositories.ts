import { lstatSync } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { changesBounds, type Repository } from '../../wire/contract/changes.ts';
import { type BytePath, onDisk, splitNul, toApiPath } from './byte-path.ts';
import type { Git } from './git.ts';

/** A repository of the workspace, and what its last commit holds. */
export interface FoundRepository {
  readonly folder: BytePath;
  /** Null before the first commit. */
  readonly commit: string | null;
  readonly tree: string;
  /** Where its objects are. */
  readonly objects: string;
}

/** Git knows it without being told. */
export const emptyTree = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
/** Folders that are looked at; in more, repositories are missed. */
const maxFolders = 50_000;
/** It takes some milliseconds, or hangs where its settings are a pipe. Checkpoints wait for it meanwhile. */
const readTimeoutMs = 3_000;
/** After this many that hang the others are not asked. */
const maxHanging = 2;
/** Folders looked at before others get their turn: 2 ms. */
const slice = 300;

/**
 * The repositories of the workspace: folders of `tree`, or the workspace itself, with a `.git`. They are only read, and
 * with none of their settings but where their objects are. One that git cannot read (broken, of SHA-256, or with a
 * pipe in it) is passed over. NO_REPOSITORY where there is none.
 */
export async function findRepositories(
  git: Git,
  tree: string,
  workspace: string,
  signal?: AbortSignal,
): Promise<readonly FoundRepository[]> {
  const listed = splitNul(
    await git.run({ args: ['ls-tree', '-r', '-d', '-z', '--name-only', '--full-tree', tree], signal }),
  );
  const folders: BytePath[] = ['', ...listed.slice(0, maxFolders)];
  const found: FoundRepository[] = [];
  let hanging = 0;
  for (const [index, folder] of folders.entries()) {
    if (index % slice === slice - 1) await new Promise((resolve) => setImmediate(resolve));
    if (found.length === changesBounds.repositories || hanging === maxHanging) break;
    if (!hasRepository(folder, workspace)) continue;
    const repository = await readRepository(git, folder, workspace, signal);
    if (repository === 'hangs') hanging++;
    else if (repository !== undefined) found.push(repository);
  }
  if (found.length === 0) throw new CaissonError('NO_REPOSITORY', 'The workspace holds no git repository.');
  return found;
}

/** For git, so that it finds the objects of all of them. */
export function objectsOf(repositories: readonly FoundRepository[]): Record<string, string> {
  const folders = repositories.map(({ objects }) => `"${objects.replaceAll(/["\\]/g, '\\$&')}"`);
  return { GIT_ALTERNATE_OBJECT_DIRECTORIES: folders.join(':') };
}

export function toApiRepository({ folder, commit }: FoundRepository): Repository {
  return { path: toApiPath(folder), commit };
}

function hasRepository(folder: BytePath, workspace: string): boolean {
  try {
    const stats = lstatSync(onDisk(folder === '' ? '.git' : `${folder}/.git`, workspace), { throwIfNoEntry: false });
    return stats !== undefined && (stats.isDirectory() || stats.isFile());
  } catch {
    return false; // a folder that may not be entered
  }
}

async function readRepository(
  git: Git,
  folder: BytePath,
  workspace: string,
  signal: AbortSignal | undefined,
): Promise<FoundRepository | 'hangs' | undefined> {
  const at = onDisk(folder, workspace).toString();
  const ask = async (...args: string[]): Promise<string[]> => {
    const settings = [
      '-C',
      at,
      '-c',
      'safe.directory=*',
      '-c',
      'core.fsmonitor=false',
      '-c',
      'core.hooksPath=/dev/null',
    ];
    const output = await git.run({
      args: [...settings, 'rev-parse', '--path-format=absolute', ...args],
      environment: {
        GIT_DIR: onDisk(folder === '' ? '.git' : `${folder}/.git`, workspace).toString(),
        GIT_WORK_TREE: at,
      },
      timeoutMs: readTimeoutMs,
      signal,
    });
    return output.toString().split('\n');
  };
  try {
    const [objects = '', format] = await ask('--git-path', 'objects', '--show-object-format');
    if (format !== 'sha1') return undefined;
    const [commit = '', tree = ''] = await ask('HEAD^{commit}', 'HEAD^{tree}').catch(orUnborn);
    return { folder, commit: commit === '' ? null : commit, tree: tree === '' ? emptyTree : tree, objects };
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'GIT_FAILED') return undefined;
    if (thrown instanceof CaissonError && thrown.code === 'DEADLINE_EXCEEDED') return 'hangs';
    throw thrown;
  }
}

/** Git has the same words for a branch without a commit as for all else. */
function orUnborn(thrown: unknown): string[] {
  if (thrown instanceof CaissonError && thrown.code === 'GIT_FAILED') return [];
  throw thrown;
}
