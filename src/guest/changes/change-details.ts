import type { Change } from '../../wire/contract/changes.ts';
import { splitNul, toApiPath } from './byte-path.ts';
import type { Git } from './git.ts';
import { findingRenames, plainDiff, type Side, type TreeChange, type TreePair } from './tree-diff.ts';

interface Lines {
  readonly added: number | null;
  readonly removed: number | null;
}

/** The changes of a page as the API has them: with their sizes, and the lines that they add and remove. */
export async function describeChanges(git: Git, changes: readonly TreeChange[], pair: TreePair): Promise<Change[]> {
  if (changes.length === 0) return [];
  const [lines, sizes] = await Promise.all([countLines(git, pair), sizesOf(git, changes, pair)]);
  return changes.map((change) => {
    const { path, oldPath, status, before, after } = change;
    const counted = lines.get(path);
    const size = (side: Side | null): number | null => (side === null ? null : (sizes.get(side.object) ?? null));
    const shown = after ?? before;
    return {
      path: toApiPath(path),
      oldPath: oldPath === null ? null : toApiPath(oldPath),
      status,
      type: shown?.mode === '120000' ? 'link' : 'file',
      executable: shown?.mode === '100755',
      oldSize: size(before),
      size: size(after),
      binary: counted?.added === null,
      added: counted?.added ?? null,
      removed: counted?.removed ?? null,
    };
  });
}

async function countLines(git: Git, { from, to, environment = {}, signal }: TreePair): Promise<Map<string, Lines>> {
  const output = await git.run({
    args: ['diff-tree', '-r', '-z', '--numstat', ...plainDiff, ...findingRenames, from, to],
    environment,
    signal,
  });
  const lines = new Map<string, Lines>();
  const fields = splitNul(output);
  for (let at = 0; at < fields.length; at++) {
    const [added, removed, path] = splitTabs(fields[at] ?? '');
    const name = path === '' ? (fields[(at += 2)] ?? '') : path; // a rename: the old and the new name follow
    lines.set(name, { added: added === '-' ? null : Number(added), removed: removed === '-' ? null : Number(removed) });
  }
  return lines;
}

/** The name may have tabs too. */
function splitTabs(field: string): [string, string, string] {
  const first = field.indexOf('\t');
  const second = field.indexOf('\t', first + 1);
  return [field.slice(0, first), field.slice(first + 1, second), field.slice(second + 1)];
}

async function sizesOf(
  git: Git,
  changes: readonly TreeChange[],
  { environment = {}, signal }: TreePair,
): Promise<Map<string, number>> {
  const objects = changes.flatMap(({ before, after }) => [before, after].flatMap((side) => side?.object ?? []));
  const output = await git.run({
    args: ['cat-file', '--batch-check=%(objectname) %(objectsize)'],
    input: Buffer.from([...new Set(objects)].map((object) => `${object}\n`).join('')),
    environment,
    signal,
  });
  const sizes = new Map<string, number>();
  for (const line of output.toString().split('\n')) {
    const [object = '', size = ''] = line.split(' ');
    if (/^\d+$/.test(size)) sizes.set(object, Number(size)); // else "missing"
  }
  return sizes;
}
