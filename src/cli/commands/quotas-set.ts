import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printStatement } from '../output/print-statement.ts';
import { quotaHolder, quotaHolderWords } from '../quota-holder.ts';
import { type LimitsChange, quotaLimit } from '../quota-limit.ts';

interface Options {
  readonly plan?: string;
  readonly timeZone?: string;
  readonly json?: boolean;
}

export function quotasSetCommand(): Command {
  return new Command('set')
    .description(
      'Change what somebody may use, at once. Users are changed by administrators; who owns an agent gives it, and its conversations, a budget.',
    )
    .argument('<whose>', quotaHolderWords)
    .argument(
      '[limits...]',
      'such as tokens=5m, cost=12.50, memory=8g, agents=none; =default takes one back',
      quotaLimit,
    )
    .option('--plan <name>', 'of a user; default is the plan of those who have none')
    .option('--time-zone <name>', 'whose days count for a user, from the next day on')
    .addOption(jsonOption('what holds then'))
    .action(set);
}

async function set(whose: string, limits: LimitsChange | [], { plan, timeZone, json = false }: Options): Promise<void> {
  const client = await connect();
  const of = await quotaHolder(client, whose);
  const { version } = await client.quotas.get.query({ of });
  const statement = await client.quotas.set.mutate({
    of,
    version,
    ...(Array.isArray(limits) ? {} : { limits }),
    ...(plan === undefined ? {} : { plan: plan === 'default' ? null : plan }),
    ...(timeZone === undefined ? {} : { timeZone: timeZone === 'default' ? null : timeZone }),
  });
  await printStatement(statement, json);
}
