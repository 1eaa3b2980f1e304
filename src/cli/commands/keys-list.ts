import { Command } from 'commander';
import type { ApiKey } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';

export function keysListCommand(): Command {
  return new Command('list')
    .description("List your keys, the newest first; administrators and auditors see everyone's.")
    .addOption(jsonOption('them'))
    .action(list);
}

async function list({ json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { items } = await client.keys.list.query();
  await printListing({ rows: items, columns: columnsAt(Date.now()), json, empty: 'No keys.' });
}

function columnsAt(now: number): Column<ApiKey>[] {
  const since = (at: number | null): string => (at === null ? 'never' : relativeTime(at, now));
  return [
    { title: 'key', value: ({ id }) => id },
    { title: 'begins with', value: ({ prefix }) => `${prefix}…`, whenNarrow: 'leave-out' },
    { title: 'user', value: ({ user }) => user.name, whenNarrow: 'shorten' },
    { title: 'role', value: ({ user }) => user.role },
    { title: 'name', value: ({ name }) => name, whenNarrow: 'shorten' },
    { title: 'scopes', value: ({ scopes }) => (scopes ?? []).join(' '), whenNarrow: 'shorten' },
    { title: 'agents', value: ({ agents }) => (agents === null ? '' : String(agents.length)), whenNarrow: 'leave-out' },
    { title: 'created', value: ({ createdAt }) => relativeTime(createdAt, now), whenNarrow: 'leave-out' },
    { title: 'last used', value: ({ lastUsedAt }) => since(lastUsedAt) },
    { title: 'expires', value: ({ expiresAt }) => (expiresAt === null ? '' : relativeTime(expiresAt, now)) },
    { title: 'revoked', value: ({ revokedAt }) => (revokedAt === null ? '' : since(revokedAt)), style: () => 'red' },
  ];
}
