import { commandGroup } from '../command-group.ts';

export const agentsCommand = commandGroup('agents', 'Agents: each is a coding agent in a sandbox of its own.', {
  create: async () => (await import('./agents-create.ts')).agentsCreateCommand(),
  list: async () => (await import('./agents-list.ts')).agentsListCommand(),
  show: async () => (await import('./agents-show.ts')).agentsShowCommand(),
  share: async () => (await import('./agents-share.ts')).agentsShareCommand(),
  unshare: async () => (await import('./agents-unshare.ts')).agentsUnshareCommand(),
  shares: async () => (await import('./agents-shares.ts')).agentsSharesCommand(),
  delete: async () => (await import('./agents-delete.ts')).agentsDeleteCommand(),
});
