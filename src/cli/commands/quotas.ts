import { Command } from 'commander';
import { quotasPlansCommand } from './quotas-plans.ts';
import { quotasRemovePlanCommand } from './quotas-remove-plan.ts';
import { quotasSetCommand } from './quotas-set.ts';
import { quotasSetPlanCommand } from './quotas-set-plan.ts';
import { quotasShowCommand } from './quotas-show.ts';

export function quotasCommand(): Command {
  return new Command('quotas')
    .description('Quotas: who may use how much of what, and what is used.')
    .addCommand(quotasShowCommand())
    .addCommand(quotasSetCommand())
    .addCommand(quotasPlansCommand())
    .addCommand(quotasSetPlanCommand())
    .addCommand(quotasRemovePlanCommand());
}
