import { commandGroup } from '../command-group.ts';

export const permissionsCommand = commandGroup(
  'permissions',
  'Permission requests: what an agent may do only when a person says so. One that nobody answers expires.',
  {
    list: async () => (await import('./permissions-list.ts')).permissionsListCommand(),
    answer: async () => (await import('./permissions-answer.ts')).permissionsAnswerCommand(),
  },
);
