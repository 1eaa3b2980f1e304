import { commandGroup } from '../command-group.ts';

export const secretsCommand = commandGroup(
  'secrets',
  'Secrets for hosts: the gateway adds them to requests of agents, and no sandbox sees them.',
  {
    set: async () => (await import('./secrets-set.ts')).secretsSetCommand(),
    list: async () => (await import('./secrets-list.ts')).secretsListCommand(),
    remove: async () => (await import('./secrets-remove.ts')).secretsRemoveCommand(),
  },
);
