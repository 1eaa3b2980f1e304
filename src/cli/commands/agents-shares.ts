import { Command } from 'commander';
import type { Share } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';

export function agentsSharesCommand(): Command {
  return new Command('shares')
    .description('List with whom an agent is shared, besides its owner.')
    .argument('<agent>', 'id or name')
    .addOption(jsonOption('them'))
    .action(list);
}

async function list(nameOrId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const { items } = await client.agents.shares.query({ agentId });
  await printListing({ rows: items, columns: columnsAt(Date.now()), json, empty: `${name} is shared with nobody.` });
}

function columnsAt(now: number): Column<Share>[] {
  return [
    { title: 'user', value: ({ user }) => user.name, whenNarrow: 'shorten' },
    { title: 'as', value: ({ role }) => role },
    { title: 'since', value: ({ createdAt }) => relativeTime(createdAt, now), whenNarrow: 'leave-out' },
  ];
}
