import type { Conversation } from '../../client/index.ts';
import { relativeTime } from './relative-time.ts';
import type { Column } from './table.ts';

export function conversationColumns(now: number): Column<Conversation>[] {
  return [
    { title: 'conversation', value: ({ id }) => id },
    {
      title: 'status',
      value: ({ status }) => status,
      style: ({ status }) => (status === 'closed' ? 'dim' : undefined),
    },
    { title: 'model', value: ({ model }) => model ?? '', whenNarrow: 'leave-out' },
    { title: 'mode', value: ({ mode }) => mode ?? '', whenNarrow: 'leave-out' },
    { title: 'last message', value: ({ updatedAt }) => relativeTime(updatedAt, now) },
    { title: 'title', value: ({ title }) => title, whenNarrow: 'shorten' },
  ];
}
