import { Command, InvalidArgumentError, Option } from 'commander';
import type { ApiInputs, UsageTotal } from '../../client/index.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import { agentsCalled, usersCalled } from '../called.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import type { Column } from '../output/table.ts';

type Group = NonNullable<ApiInputs['usage']['totals']['groupBy']>[number];
const groups = ['day', 'user', 'agent', 'model'] as const satisfies readonly Group[];
const dayMs = 24 * 3_600_000;

interface Options {
  readonly days: number;
  readonly by: readonly Group[];
  readonly agent?: string;
  readonly json?: boolean;
}

export function usageCommand(): Command {
  return new Command('usage')
    .description(
      "Show what agents took of models: tokens, and their cost by list prices. Administrators see everyone's.",
    )
    .option('--days <n>', 'the last so many days, in UTC, today included', wholeNumber(1, 366), 30)
    .addOption(
      new Option('--by <what>', `a line for each ${groups.join(', ')}, or several of these with commas`)
        .argParser(readGroups)
        .default(['day'], 'day'),
    )
    .option('--agent <agent>', 'only of this agent, by id or name')
    .addOption(jsonOption('it'))
    .action(usage);
}

async function usage({ days, by, agent, json = false }: Options): Promise<void> {
  const client = await connect();
  const agentId = agent === undefined ? undefined : (await findAgent(client, agent)).id;
  const now = Date.now();
  const { items } = await client.usage.totals.query({
    from: dayOf(now - (days - 1) * dayMs),
    to: dayOf(now),
    groupBy: [...by],
    ...(agentId === undefined ? {} : { agentId }),
  });
  const isTable = !json && items.length > 0;
  const columns = columnsOf({
    user: isTable && by.includes('user') ? await usersCalled(client) : String,
    agent: isTable && by.includes('agent') ? await agentsCalled(client) : String,
  });
  await printListing({ rows: items, columns, json, empty: 'Nothing was used.' });
}

interface Called {
  readonly user: (id: string) => string;
  readonly agent: (id: string) => string;
}

const columnsOf = ({ user, agent }: Called): readonly Column<UsageTotal>[] => [
  { title: 'day', value: ({ day }) => day ?? '' },
  { title: 'user', value: ({ userId }) => (userId === null ? '' : user(userId)) },
  { title: 'agent', value: ({ agentId }) => (agentId === null ? '' : agent(agentId)) },
  { title: 'model', value: ({ model }) => model ?? '', whenNarrow: 'shorten' },
  { title: 'calls', value: ({ calls }) => count(calls), align: 'right' },
  { title: 'input', value: ({ inputTokens }) => count(inputTokens), align: 'right' },
  {
    title: 'cached',
    value: ({ cachedInputTokens }) => count(cachedInputTokens),
    align: 'right',
    whenNarrow: 'leave-out',
  },
  { title: 'output', value: ({ outputTokens }) => count(outputTokens), align: 'right' },
  {
    title: 'reasoning',
    value: ({ reasoningTokens }) => count(reasoningTokens),
    align: 'right',
    whenNarrow: 'leave-out',
  },
  { title: 'cost', value: ({ costMicros }) => `$${(costMicros / 1e6).toFixed(2)}`, align: 'right' },
  { title: 'note', value: noteOf, style: () => 'dim' },
];

/** What the figures of a line are not sure of. */
function noteOf({ estimatedCalls, unpricedCalls }: UsageTotal): string {
  const parts = [
    ...(estimatedCalls > 0 ? [`${count(estimatedCalls)} estimated`] : []),
    ...(unpricedCalls > 0 ? [`${count(unpricedCalls)} at the default price`] : []),
  ];
  return parts.join(', ');
}

function readGroups(text: string): readonly Group[] {
  return text.split(',').map((name) => {
    const group = groups.find((each) => each === name.trim());
    if (group === undefined)
      throw new InvalidArgumentError(`It must be some of ${groups.join(', ')}, with commas between.`);
    return group;
  });
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
