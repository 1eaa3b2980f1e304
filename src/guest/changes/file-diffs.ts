import { type Change, changesBounds, type FileDiff } from '../../wire/contract/changes.ts';
import { type BytePath, toApiPath } from './byte-path.ts';
import type { Git } from './git.ts';
import { PatchSplitter } from './patch-splitter.ts';
import { unquotePath } from './quoted-path.ts';
import { findingRenames, plainDiff, type TreePair } from './tree-diff.ts';

/**
 * The unified diffs of a page's changes, as many as fit: at least the first. `pair` has these changes and no others, but
 * not necessarily found as the same renames: what git shows here is what counts.
 */
export async function diffFiles(
  git: Git,
  changes: readonly Change[],
  pair: TreePair & { readonly context: number },
): Promise<FileDiff[]> {
  const { from, to, context, environment = {}, signal } = pair;
  const splitter = new PatchSplitter(changesBounds.diffFileBytes);
  const args = ['diff-tree', '-r', '-p', '--raw', '--no-abbrev', '--src-prefix=a/', '--dst-prefix=b/', `-U${context}`];
  let isCut = false;
  await git.stream({ args: [...args, ...plainDiff, ...findingRenames, from, to], environment, signal }, (chunk) => {
    splitter.push(chunk);
    const { patches, bytes } = splitter.size;
    isCut = bytes > changesBounds.diffPageBytes && patches > 1;
    return !isCut;
  });
  const { raw, patches } = splitter.finish();
  const names = patchNames(raw);
  const complete = isCut ? patches.slice(0, -1) : patches; // the last one has only begun
  const byPath = new Map<string, FileDiff>();
  const described = new Map(changes.map((change) => [change.path, change]));
  for (const [index, patch] of complete.entries()) {
    const path = toApiPath(names[index] ?? '');
    const change = described.get(path);
    if (change === undefined) continue;
    const earlier = byPath.get(path); // a file that became a link has two
    byPath.set(path, {
      ...change,
      patch: (earlier?.patch ?? '') + patch.text,
      encoding: patch.encoding,
      cutBytes: (earlier?.cutBytes ?? 0) + patch.cutBytes,
    });
  }
  return inOrder(changes, byPath, isCut);
}

/** Up to the first that is missing, when the page was cut: the next one begins there. */
function inOrder(changes: readonly Change[], diffs: ReadonlyMap<string, FileDiff>, isCut: boolean): FileDiff[] {
  const files: FileDiff[] = [];
  for (const change of changes) {
    const diff = diffs.get(change.path);
    if (diff === undefined && isCut && files.length > 0) break;
    files.push(diff ?? { ...change, patch: '', encoding: 'utf8', cutBytes: 0 });
  }
  return files;
}

/** The file of each patch, in order: a change of type is shown as two. */
function patchNames(raw: string): BytePath[] {
  return raw.split('\n').flatMap((line) => {
    if (!line.startsWith(':')) return [];
    const [head = '', first = '', second] = line.split('\t');
    const name = unquotePath(second ?? first);
    return head.split(' ').at(4)?.startsWith('T') === true ? [name, name] : [name];
  });
}
