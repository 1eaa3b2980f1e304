import type { Terminal } from '../../client/index.ts';
import { oneLine } from './printable.ts';
import { relativeTime } from './relative-time.ts';
import type { Column } from './table.ts';

export function terminalColumns(now: number): Column<Terminal>[] {
  return [
    { title: 'terminal', value: ({ id }) => id },
    { title: 'state', value: ({ exit }) => (exit === null ? 'running' : `ended (${exit.exitCode ?? exit.signal})`) },
    { title: 'opened', value: ({ createdAt }) => relativeTime(createdAt, now), whenNarrow: 'leave-out' },
    { title: 'driver', value: ({ readers, driver }) => oneLine(readers.find(({ id }) => id === driver)?.name ?? '–') },
    { title: 'attached', value: ({ readers }) => String(readers.length), whenNarrow: 'leave-out' },
    { title: 'command', value: ({ command }) => oneLine(command.join(' ')) },
  ];
}
