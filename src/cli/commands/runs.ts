import { Command } from 'commander';
import { runsCancelCommand } from './runs-cancel.ts';
import { runsListCommand } from './runs-list.ts';
import { runsStartCommand } from './runs-start.ts';
import { runsWaitCommand } from './runs-wait.ts';

export function runsCommand(): Command {
  return new Command('runs')
    .description('Runs: each is one turn, from an accepted message to exactly one end.')
    .addCommand(runsStartCommand())
    .addCommand(runsWaitCommand())
    .addCommand(runsListCommand())
    .addCommand(runsCancelCommand());
}
