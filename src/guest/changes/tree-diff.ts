import { type BytePath, splitNul } from './byte-path.ts';
import type { Git } from './git.ts';

/** One entry of a tree: its mode as git writes it, and its object. */
export interface Side {
  readonly mode: string;
  readonly object: string;
}

/** A file that differs between two trees. */
export interface TreeChange {
  readonly path: BytePath;
  readonly oldPath: BytePath | null;
  readonly status: 'added' | 'modified' | 'deleted' | 'renamed';
  readonly before: Side | null;
  readonly after: Side | null;
}

/** Above this many added and as many deleted files git looks for no renames but exact ones. */
const renameLimit = 400;
const submodule = '160000';
const nothing = '000000';

/** For every comparison: nothing of it runs anything, or depends on settings. */
export const plainDiff = ['--no-ext-diff', '--no-textconv', '--ignore-submodules=all', '--no-color'] as const;
export const findingRenames = ['-M50%', `-l${renameLimit}`] as const;

export interface TreePair {
  readonly from: string;
  readonly to: string;
  readonly renames?: boolean;
  /** Where objects of other repositories are. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** What differs, by path. Submodules are passed over: they are repositories of their own. */
export async function diffTrees(git: Git, pair: TreePair): Promise<readonly TreeChange[]> {
  const { from, to, renames = true, environment = {}, signal } = pair;
  const output = await git.run({
    args: [
      'diff-tree',
      '-r',
      '-z',
      '--raw',
      '--no-abbrev',
      ...plainDiff,
      ...(renames ? findingRenames : ['--no-renames']),
      from,
      to,
    ],
    environment,
    signal,
  });
  return parseRaw(output).toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

function parseRaw(output: Buffer): TreeChange[] {
  const fields = splitNul(output);
  const changes: TreeChange[] = [];
  for (let at = 0; at < fields.length;) {
    const [oldMode = '', mode = '', oldObject = '', object = '', letter = ''] = (fields[at] ?? '').slice(1).split(' ');
    const isRename = letter.startsWith('R');
    const first = fields[at + 1] ?? '';
    const path = isRename ? (fields[at + 2] ?? '') : first;
    at += isRename ? 3 : 2;
    const before = sideOf(oldMode, oldObject);
    const after = sideOf(mode, object);
    if (before === null && after === null) continue;
    const status = isRename ? 'renamed' : before === null ? 'added' : after === null ? 'deleted' : 'modified';
    changes.push({ path, oldPath: isRename ? first : null, status, before, after });
  }
  return changes;
}

function sideOf(mode: string, object: string): Side | null {
  return mode === nothing || mode === submodule ? null : { mode, object };
}
