import { byteSize } from '../../kernel/byte-size.ts';
import type { ProcessTreeLine } from './process-tree.ts';
import { duration } from './relative-time.ts';
import type { Column } from './table.ts';

export function processColumns(now: number): readonly Column<ProcessTreeLine>[] {
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
      value: ({ process }) => process.command,
      branch: ({ branch }) => branch,
      whenNarrow: 'shorten',
      wanted: 30,
    },
  ];
}

function ownerText(owner: ProcessTreeLine['process']['owner']): string {
  if (owner === null) return '';
  return 'id' in owner ? owner.id : owner.kind;
}
