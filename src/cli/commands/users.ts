import { Command } from 'commander';
import { usersAcceptCommand } from './users-accept.ts';
import { usersDeleteCommand } from './users-delete.ts';
import { usersDisableCommand } from './users-disable.ts';
import { usersEnableCommand } from './users-enable.ts';
import { usersInviteCommand } from './users-invite.ts';
import { usersLoginLinkCommand } from './users-login-link.ts';
import { usersListCommand } from './users-list.ts';

export function usersCommand(): Command {
  return new Command('users')
    .description('Users: who may come in, and as what.')
    .addCommand(usersListCommand())
    .addCommand(usersInviteCommand())
    .addCommand(usersAcceptCommand())
    .addCommand(usersLoginLinkCommand())
    .addCommand(usersDisableCommand())
    .addCommand(usersEnableCommand())
    .addCommand(usersDeleteCommand());
}
