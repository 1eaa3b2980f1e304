import { commandGroup } from '../command-group.ts';

export const keysCommand = commandGroup('keys', 'API keys: who may call the control plane, as whom.', {
  create: async () => (await import('./keys-create.ts')).keysCreateCommand(),
  list: async () => (await import('./keys-list.ts')).keysListCommand(),
  revoke: async () => (await import('./keys-revoke.ts')).keysRevokeCommand(),
});
