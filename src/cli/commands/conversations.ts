import { commandGroup } from '../command-group.ts';

export const conversationsCommand = commandGroup(
  'conversations',
  'Conversations: each is one continuous talk with an agent. It outlives clients, restarts and sandboxes.',
  {
    open: async () => (await import('./conversations-open.ts')).conversationsOpenCommand(),
    list: async () => (await import('./conversations-list.ts')).conversationsListCommand(),
    show: async () => (await import('./conversations-show.ts')).conversationsShowCommand(),
    configure: async () => (await import('./conversations-configure.ts')).conversationsConfigureCommand(),
    close: async () => (await import('./conversations-close.ts')).conversationsCloseCommand(),
  },
);
