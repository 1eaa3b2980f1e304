import { byteSize } from '../../kernel/byte-size.ts';
import { oneLine } from './printable.ts';
import type { ProcessTreeLine } from './process-tree.ts';
import { duration } from './relative-time.ts';
import type { Column } from './table.ts';

/** What the other columns take of a terminal, when they are wide. */
const besideCommand = 75;
const shortestCommand = 30;

/** `width`: of the terminal; undefined where it is none, and commands stand whole. */
export function processColumns(now: number, width: number | undefined): readonly Column<ProcessTreeLine>[] {
  const limit = width === undefined ? undefined : Math.max(shortestCommand, width - besideCommand);
  return [
    { title: 'pid', value: ({ process }) => String(process.pid), align: 'right' },
    { title: 'user', value: ({ process }) => process.user, whenNarrow: 'leave-out' },
    { title: 'state', value: ({ process }) => process.state, whenNarrow: 'leave-out' },
    { title: 'cpu', value: ({ process }) => `${process.cpuPercent.toFixed(1)} %`, align: 'right' },
    { title: 'memory', value: ({ process }) => byteSize(process.memoryBytes), align: 'right' },
    { title: 'age', value: ({ process }) => duration(Math.max(0, now - process.startedAt)), align: 'right' },
    { title: 'belongs to', value: ({ process: { owner } }) => ownerText(owner) },
    {
      title: 'command',
      value: ({ process, branch }) => `${branch}${oneLine(process.command, limit)}`,
      whole: true,
    },
  ];
}

function ownerText(owner: ProcessTreeLine['process']['owner']): string {
  if (owner === null) return '';
  return 'id' in owner ? owner.id : owner.kind;
}
