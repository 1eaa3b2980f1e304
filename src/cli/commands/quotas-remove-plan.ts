import { Command } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import { connect } from '../connection.ts';
import { stdout } from '../output/sink.ts';

export function quotasRemovePlanCommand(): Command {
  return new Command('remove-plan')
    .description('Remove a plan that no user has. For administrators.')
    .argument('<name>', 'its name')
    .action(removePlan);
}

async function removePlan(name: string): Promise<void> {
  const client = await connect();
  const { items } = await client.quotas.plans.query();
  const plan = items.find((each) => each.name === name);
  if (plan === undefined) throw new CaissonError('PLAN_NOT_FOUND', `There is no plan ${name}.`);
  await client.quotas.removePlan.mutate({ name, version: plan.version });
  await stdout.write(`Removed plan ${name}\n`);
}
