import type { Run } from '../../client/index.ts';
import { duration, relativeTime } from './relative-time.ts';
import type { Column } from './table.ts';

export function runColumns(now: number): Column<Run>[] {
  return [
    { title: 'run', value: ({ id }) => id },
    { title: 'state', value: ({ state }) => state, style: runStyle },
    { title: 'reason', value: ({ reason }) => reason ?? '' },
    { title: 'accepted', value: ({ acceptedAt }) => relativeTime(acceptedAt, now) },
    { title: 'took', value: (run) => took(run, now), align: 'right' },
    { title: 'conversation', value: ({ conversationId }) => conversationId, whenNarrow: 'leave-out' },
  ];
}

function runStyle({ state }: Run): 'green' | 'red' | 'yellow' | undefined {
  switch (state) {
    case 'completed':
      return 'green';
    case 'failed':
    case 'timed_out':
    case 'interrupted':
    case 'rejected':
      return 'red';
    case 'awaiting_permission':
    case 'canceled':
      return 'yellow';
    case 'queued':
    case 'starting':
    case 'running':
      return undefined;
  }
}

function took({ startedAt, endedAt }: Run, now: number): string {
  return startedAt === null ? '' : duration(Math.max(0, (endedAt ?? now) - startedAt));
}
