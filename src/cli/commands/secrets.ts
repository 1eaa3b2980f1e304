import { Command } from 'commander';
import { secretsListCommand } from './secrets-list.ts';
import { secretsRemoveCommand } from './secrets-remove.ts';
import { secretsSetCommand } from './secrets-set.ts';

export function secretsCommand(): Command {
  return new Command('secrets')
    .description('Secrets for hosts: the gateway adds them to requests of agents, and no sandbox sees them.')
    .addCommand(secretsSetCommand())
    .addCommand(secretsListCommand())
    .addCommand(secretsRemoveCommand());
}
