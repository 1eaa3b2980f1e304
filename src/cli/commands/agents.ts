import { Command } from 'commander';
import { agentsCreateCommand } from './agents-create.ts';
import { agentsDeleteCommand } from './agents-delete.ts';
import { agentsListCommand } from './agents-list.ts';
import { agentsShareCommand } from './agents-share.ts';
import { agentsSharesCommand } from './agents-shares.ts';
import { agentsShowCommand } from './agents-show.ts';
import { agentsUnshareCommand } from './agents-unshare.ts';

export function agentsCommand(): Command {
  return new Command('agents')
    .description('Agents: each is a coding agent in a sandbox of its own.')
    .addCommand(agentsCreateCommand())
    .addCommand(agentsListCommand())
    .addCommand(agentsShowCommand())
    .addCommand(agentsShareCommand())
    .addCommand(agentsUnshareCommand())
    .addCommand(agentsSharesCommand())
    .addCommand(agentsDeleteCommand());
}
