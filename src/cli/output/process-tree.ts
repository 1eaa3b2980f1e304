import type { ProcessList } from '../../client/index.ts';

type TreeRow = ProcessList['tree'][number];

export interface ProcessTreeLine {
  readonly process: TreeRow;
  /** What stands before the command, so that the lines are a tree. */
  readonly branch: string;
}

/** Parents before their children, each with the lines that lead to it. Whoever has no parent here is a root. */
export function treeRows(tree: readonly TreeRow[]): ProcessTreeLine[] {
  const pids = new Set(tree.map(({ pid }) => pid));
  const children = Map.groupBy(tree, ({ pid, ppid }) => (pids.has(ppid) && ppid !== pid ? ppid : 0));
  const lines: ProcessTreeLine[] = [];
  const shown = new Set<number>();
  const add = (parent: number, before: string): void => {
    const siblings = children.get(parent) ?? [];
    for (const [index, process] of siblings.entries()) {
      if (shown.has(process.pid)) continue;
      shown.add(process.pid);
      const isLast = index === siblings.length - 1;
      lines.push({ process, branch: parent === 0 ? '' : `${before}${isLast ? '└ ' : '├ '}` });
      add(process.pid, parent === 0 ? '' : `${before}${isLast ? '  ' : '│ '}`);
    }
  };
  add(0, '');
  // A sandbox that lies about its parents makes no circle here.
  for (const process of tree) if (!shown.has(process.pid)) lines.push({ process, branch: '' });
  return lines;
}
