import { lstatSync } from 'node:fs';
import type { LeftOut, Repository, Since } from '../../wire/contract/changes.ts';
import { type BytePath, isWithin, onDisk, toApiPath } from './byte-path.ts';
import { committedTree } from './committed-tree.ts';
import type { Git } from './git.ts';
import { findRepositories, objectsOf, toApiRepository } from './repositories.ts';
import type { SnapshotTaker } from './snapshot.ts';
import type { CheckpointStore } from './store.ts';
import { diffTrees, type TreeChange, type TreePair } from './tree-diff.ts';

/** How the workspace differs from what it was. */
export interface Comparison {
  readonly changes: readonly TreeChange[];
  readonly pair: TreePair;
  readonly repositories: readonly Repository[];
  readonly leftOut: readonly LeftOut[];
}

interface Parts {
  readonly git: Git;
  readonly store: CheckpointStore;
  readonly taker: SnapshotTaker;
  readonly workspace: string;
  readonly signal?: AbortSignal | undefined;
}

/** Compares with the last commits, or with a checkpoint. CHECKPOINT_NOT_FOUND, NO_REPOSITORY, or what a snapshot throws. */
export async function compare(parts: Parts, since: Since): Promise<Comparison> {
  return since === 'commit' ? await compareWithCommits(parts) : await compareWithCheckpoint(parts, since);
}

/** Only the changes of these files, and of files in these folders. */
export function within(changes: readonly TreeChange[], paths: readonly BytePath[]): readonly TreeChange[] {
  if (paths.length === 0 || paths.includes('')) return changes;
  return changes.filter(({ path, oldPath }) =>
    paths.some((wanted) => isWithin(path, wanted) || (oldPath !== null && isWithin(oldPath, wanted))),
  );
}

async function compareWithCheckpoint(
  { git, store, taker, signal }: Parts,
  id: Exclude<Since, 'commit'>,
): Promise<Comparison> {
  await store.open();
  const record = await store.find(id);
  const { tree, leftOut } = await taker.take(signal);
  const pair = { from: record.tree, to: tree, signal };
  const unknown = new Set(record.leftOut.map(({ path }) => path));
  const changes = (await diffTrees(git, pair)).map((change) =>
    // It was there before; how, nobody knows.
    change.status === 'added' && unknown.has(toApiPath(change.path))
      ? { ...change, status: 'modified' as const }
      : change,
  );
  return { changes: known(changes, leftOut), pair, repositories: [], leftOut };
}

async function compareWithCommits(parts: Parts): Promise<Comparison> {
  const { git, taker, workspace, signal } = parts;
  let refused: readonly LeftOut[] = [];
  for (let isSecond = false; ; isSecond = true) {
    const { tree, leftOut: unseen } = await taker.take(signal);
    const leftOut = [...unseen, ...refused];
    const repositories = await findRepositories(git, tree, workspace, signal);
    const from = await committedTree(git, tree, repositories, signal);
    const pair = { from, to: tree, environment: objectsOf(repositories), signal };
    const changes = known(await diffTrees(git, pair), leftOut);
    // What is committed although it is ignored is not deleted: the index takes it in, for good.
    const ignored = changes.filter((change) => change.status === 'deleted' && isFile(change.path, workspace));
    if (isSecond || ignored.length === 0) {
      return { changes, pair, repositories: repositories.map(toApiRepository), leftOut };
    }
    refused = await taker.include(
      ignored.map(({ path }) => path),
      signal,
    );
  }
}

/** A file that is left out looks deleted: it is not known whether it has changed. */
function known(changes: readonly TreeChange[], leftOut: readonly LeftOut[]): readonly TreeChange[] {
  const names = new Set(leftOut.map(({ path }) => path));
  return changes.filter(({ status, path }) => status !== 'deleted' || !names.has(toApiPath(path)));
}

function isFile(path: BytePath, workspace: string): boolean {
  try {
    const stats = lstatSync(onDisk(path, workspace), { throwIfNoEntry: false });
    return stats !== undefined && (stats.isFile() || stats.isSymbolicLink());
  } catch {
    return false; // its folder is none any more
  }
}
