import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import type { BytePath } from './byte-path.ts';
import type { Git } from './git.ts';
import type { Side, TreeChange, TreePair } from './tree-diff.ts';

let made = 0;

/**
 * Two trees with nothing but the files of some changes: so git looks at these only. A list of paths would do for most, but
 * not every name can be the argument of a program.
 */
export async function treesOf(
  git: Git,
  changes: readonly TreeChange[],
  pair: TreePair,
  directory: string,
): Promise<TreePair> {
  const from = await treeOf(
    git,
    pair,
    directory,
    sides(changes, (change) => [change.oldPath ?? change.path, change.before]),
  );
  const to = await treeOf(
    git,
    pair,
    directory,
    sides(changes, (change) => [change.path, change.after]),
  );
  return { ...pair, from, to };
}

function sides(changes: readonly TreeChange[], pick: (change: TreeChange) => readonly [BytePath, Side | null]): Buffer {
  const lines = changes.map((change) => {
    const [path, side] = pick(change);
    return side === null ? '' : `${side.mode} ${side.object} 0\t${path}\0`;
  });
  return Buffer.from(lines.join(''), 'latin1');
}

async function treeOf(git: Git, { environment, signal }: TreePair, directory: string, input: Buffer): Promise<string> {
  const index = join(directory, `page-index-${process.pid}-${made++}`);
  const call = { environment: { ...environment, GIT_INDEX_FILE: index }, signal };
  try {
    await git.run({ ...call, args: ['update-index', '-z', '--index-info'], input });
    return (await git.run({ ...call, args: ['write-tree', '--missing-ok'] })).toString().trim();
  } finally {
    await rm(index, { force: true });
    await rm(`${index}.lock`, { force: true });
  }
}
