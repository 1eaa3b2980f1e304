import type { Permission } from '../../client/index.ts';
import { shownForApproval, subjectsOf } from './permission-subject.ts';
import { relativeTime } from './relative-time.ts';
import type { Column } from './table.ts';

export function permissionColumns(now: number): Column<Permission>[] {
  return [
    { title: 'permission', value: ({ id }) => id },
    { title: 'agent', value: ({ agentId }) => agentId, whenNarrow: 'leave-out' },
    { title: 'expires', value: ({ expiresAt }) => relativeTime(expiresAt, now) },
    { title: 'options', value: ({ options }) => options.map(({ optionId }) => optionId).join(' ') },
    { title: 'asks for', value: (asked) => subjectsOf(asked).map(shownForApproval).join('  '), whole: true },
  ];
}
