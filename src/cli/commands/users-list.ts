import { Command } from 'commander';
import type { User } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';

export function usersListCommand(): Command {
  return new Command('list')
    .description('List the users, the newest first. For administrators and auditors.')
    .addOption(jsonOption('them'))
    .action(list);
}

async function list({ json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { items } = await client.users.list.query();
  await printListing({ rows: items, columns: columnsAt(Date.now()), json, empty: 'No users.' });
}

function columnsAt(now: number): Column<User>[] {
  return [
    { title: 'name', value: ({ name }) => name, style: () => 'bold', whenNarrow: 'shorten' },
    { title: 'id', value: ({ id }) => id },
    { title: 'role', value: ({ role }) => role },
    { title: 'state', value: ({ state }) => state, style: ({ state }) => (state === 'disabled' ? 'red' : undefined) },
    { title: 'created', value: ({ createdAt }) => relativeTime(createdAt, now), whenNarrow: 'leave-out' },
  ];
}
