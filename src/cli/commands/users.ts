import { commandGroup } from '../command-group.ts';

export const usersCommand = commandGroup('users', 'Users: who may come in, and as what.', {
  list: async () => (await import('./users-list.ts')).usersListCommand(),
  invite: async () => (await import('./users-invite.ts')).usersInviteCommand(),
  accept: async () => (await import('./users-accept.ts')).usersAcceptCommand(),
  'login-link': async () => (await import('./users-login-link.ts')).usersLoginLinkCommand(),
  disable: async () => (await import('./users-disable.ts')).usersDisableCommand(),
  enable: async () => (await import('./users-enable.ts')).usersEnableCommand(),
  delete: async () => (await import('./users-delete.ts')).usersDeleteCommand(),
});
