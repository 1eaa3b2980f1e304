import { commandGroup } from '../command-group.ts';

export const sessionsCommand = commandGroup('sessions', 'The browsers that are signed in as you.', {
  list: async () => (await import('./sessions-list.ts')).sessionsListCommand(),
  end: async () => (await import('./sessions-end.ts')).sessionsEndCommand(),
});
