import { type BytePath, splitNul } from './byte-path.ts';
import type { Git, GitCall } from './git.ts';
import { emptyTree, type FoundRepository, objectsOf } from './repositories.ts';

/**
 * The workspace as it would be if every repository in it were at its last commit: `present`, with what is committed in
 * the place of each repository. Files outside of them are as they are.
 */
export async function committedTree(
  git: Git,
  present: string,
  repositories: readonly FoundRepository[],
  signal?: AbortSignal,
): Promise<string> {
  const call = { environment: objectsOf(repositories), signal };
  const byDepth = repositories.toSorted((one, other) => one.folder.length - other.folder.length);
  let tree = present;
  for (const repository of byDepth) {
    tree =
      repository.folder === '' ? repository.tree : await graft(git, tree, repository.folder, repository.tree, call);
  }
  return tree;
}

/** `tree` with `branch` at `path`, in the place of what is there. */
async function graft(
  git: Git,
  tree: string,
  path: BytePath,
  branch: string,
  call: Pick<GitCall, 'environment' | 'signal'>,
): Promise<string> {
  const slash = path.indexOf('/');
  const name = slash < 0 ? path : path.slice(0, slash);
  const entries = splitNul(await git.run({ ...call, args: ['ls-tree', '-z', '--full-tree', tree] }));
  const others = entries.filter((entry) => entry.slice(entry.indexOf('\t') + 1) !== name);
  const present = entries.find((entry) => entry.slice(entry.indexOf('\t') + 1) === name);
  const subtree = /^040000 tree ([0-9a-f]{40})\t/.exec(present ?? '')?.[1] ?? emptyTree;
  const grafted = slash < 0 ? branch : await graft(git, subtree, path.slice(slash + 1), branch, call);
  const lines = [...others, `040000 tree ${grafted}\t${name}`].map((entry) => `${entry}\0`).join('');
  const output = await git.run({ ...call, args: ['mktree', '-z', '--missing'], input: Buffer.from(lines, 'latin1') });
  return output.toString().trim();
}
