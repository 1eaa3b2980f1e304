import { Command } from 'commander';
import type { Secret } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';
import { whoseSecrets, whoseSecretsArgument } from '../secrets/whose-secrets.ts';

export function secretsListCommand(): Command {
  return new Command('list')
    .alias('ls')
    .description('List the secrets of an agent, or yours for all your agents. Their values are never shown.')
    .argument(...whoseSecretsArgument)
    .addOption(jsonOption('them'))
    .action(list);
}

async function list(whose: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { items } = await client.secrets.list.query(await whoseSecrets(client, whose));
  await printListing({ rows: items, columns: columns(Date.now()), json, empty: 'No secrets.' });
}

function columns(now: number): Column<Secret>[] {
  return [
    { title: 'secret', value: ({ id }) => id, whenNarrow: 'leave-out' },
    { title: 'host', value: ({ host, port }) => `${host}:${port}` },
    { title: 'shown as', value: ({ form }) => formText(form) },
    { title: 'set', value: ({ createdAt }) => relativeTime(createdAt, now) },
    { title: 'by', value: ({ createdByName }) => createdByName, whenNarrow: 'shorten' },
    { title: 'last used', value: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : relativeTime(lastUsedAt, now)) },
    { title: 'state', value: ({ readable }) => (readable ? '' : 'unreadable'), style: () => 'red' },
  ];
}

function formText(form: Secret['form']): string {
  switch (form.kind) {
    case 'bearer':
      return 'bearer';
    case 'basic':
      return `basic, ${form.username}`;
    case 'header':
      return form.header;
  }
}
