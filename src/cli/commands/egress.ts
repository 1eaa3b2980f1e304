import { Command } from 'commander';
import { egressAddCommand } from './egress-add.ts';
import { egressDecideCommand } from './egress-decide.ts';
import { egressLogCommand } from './egress-log.ts';
import { egressModeCommand } from './egress-mode.ts';
import { egressPendingCommand } from './egress-pending.ts';
import { egressPresetsCommand } from './egress-presets.ts';
import { egressRemoveCommand } from './egress-remove.ts';
import { egressShowCommand } from './egress-show.ts';
import { egressTestCommand } from './egress-test.ts';
import { egressUsageCommand } from './egress-usage.ts';

export function egressCommand(): Command {
  return new Command('egress')
    .description('Where agents may connect to, what waits for a decision, and what was connected to.')
    .addCommand(egressShowCommand())
    .addCommand(egressModeCommand())
    .addCommand(egressAddCommand('allow'))
    .addCommand(egressAddCommand('permit'))
    .addCommand(egressAddCommand('deny'))
    .addCommand(egressRemoveCommand())
    .addCommand(egressTestCommand())
    .addCommand(egressPresetsCommand())
    .addCommand(egressPendingCommand())
    .addCommand(egressDecideCommand())
    .addCommand(egressLogCommand())
    .addCommand(egressUsageCommand());
}
