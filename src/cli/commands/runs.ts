import { commandGroup } from '../command-group.ts';

export const runsCommand = commandGroup(
  'runs',
  'Runs: each is one turn, from an accepted message to exactly one end.',
  {
    start: async () => (await import('./runs-start.ts')).runsStartCommand(),
    wait: async () => (await import('./runs-wait.ts')).runsWaitCommand(),
    list: async () => (await import('./runs-list.ts')).runsListCommand(),
    cancel: async () => (await import('./runs-cancel.ts')).runsCancelCommand(),
  },
);
