import { Command } from 'commander';
import type { ApiOutputs } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';

type Session = ApiOutputs['sessions']['list']['items'][number];

export function sessionsListCommand(): Command {
  return new Command('list')
    .description('List the browsers that are signed in as you, the newest first.')
    .addOption(jsonOption('them'))
    .action(list);
}

async function list({ json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { items } = await client.sessions.list.query();
  await printListing({ rows: items, columns: columnsAt(Date.now()), json, empty: 'No browser is signed in.' });
}

function columnsAt(now: number): Column<Session>[] {
  return [
    { title: 'session', value: ({ id }) => id },
    { title: 'by', value: ({ signedInBy }) => signedInBy },
    { title: 'browser', value: ({ browser }) => browser, whenNarrow: 'shorten' },
    { title: 'created', value: ({ createdAt }) => relativeTime(createdAt, now), whenNarrow: 'leave-out' },
    { title: 'last used', value: ({ lastUsedAt }) => relativeTime(lastUsedAt, now) },
    { title: 'expires', value: ({ expiresAt }) => relativeTime(expiresAt, now) },
  ];
}
