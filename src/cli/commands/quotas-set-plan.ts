import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { type LimitsChange, quotaLimit } from '../quota-limit.ts';

export function quotasSetPlanCommand(): Command {
  return new Command('set-plan')
    .description('Make a plan, or change it for all who have it, at once. For administrators.')
    .argument('<name>', 'default is the plan of users who have none')
    .argument(
      '[limits...]',
      'such as tokens=5m, cost=12.50, memory=8g, agents=none; =default takes one back',
      quotaLimit,
    )
    .addOption(jsonOption('it'))
    .action(setPlan);
}

async function setPlan(
  name: string,
  limits: LimitsChange | [],
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  const client = await connect();
  const { items } = await client.quotas.plans.query();
  const version = items.find((plan) => plan.name === name)?.version ?? 0;
  const plan = await client.quotas.setPlan.mutate({ name, version, limits: Array.isArray(limits) ? {} : limits });
  if (json) await writeJson(plan);
  else await stdout.write(`${version === 0 ? 'Made' : 'Changed'} plan ${plan.name}\n`);
}
