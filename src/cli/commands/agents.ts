import { Command } from 'commander';
import { agentsCreateCommand } from './agents-create.ts';
import { agentsDeleteCommand } from './agents-delete.ts';
import { agentsListCommand } from './agents-list.ts';
import { agentsShowCommand } from './agents-show.ts';

export function agentsCommand(): Command {
  return new Command('agents')
    .description('Agents: each is a coding agent in a sandbox of its own.')
    .addCommand(agentsCreateCommand())
    .addCommand(agentsListCommand())
    .addCommand(agentsShowCommand())
    .addCommand(agentsDeleteCommand());
}
