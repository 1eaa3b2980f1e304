import { Command } from 'commander';
import { sessionsEndCommand } from './sessions-end.ts';
import { sessionsListCommand } from './sessions-list.ts';

export function sessionsCommand(): Command {
  return new Command('sessions')
    .description('The browsers that are signed in as you.')
    .addCommand(sessionsListCommand())
    .addCommand(sessionsEndCommand());
}
