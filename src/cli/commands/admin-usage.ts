import { Command } from 'commander';
import type { UserUsage } from '../../client/index.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import { connect } from '../connection.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { printListing } from '../output/listing.ts';
import type { Column } from '../output/table.ts';

interface Options {
  readonly days: number;
  readonly json?: boolean;
}

export function adminUsageCommand(): Command {
  return new Command('usage')
    .description('List what each user has, and has used of models and of the network; who cost most comes first.')
    .option('--days <n>', 'the last so many days, in UTC, today included', wholeNumber(1, 366), 30)
    .addOption(jsonOption('it'))
    .action(usage);
}

async function usage({ days, json = false }: Options): Promise<void> {
  const client = await connect();
  const { items } = await client.admin.usage.query({ days });
  await printListing({ rows: items, columns, json, empty: 'There are no users.' });
}

const columns: readonly Column<UserUsage>[] = [
  { title: 'user', value: ({ user }) => user.name ?? `${user.id} (deleted)`, style: () => 'bold' },
  { title: 'agents', value: ({ agents }) => count(agents), align: 'right' },
  { title: 'running', value: ({ sandboxesUp }) => count(sandboxesUp), align: 'right' },
  { title: 'disk', value: ({ diskBytes }) => byteSize(diskBytes), align: 'right' },
  { title: 'calls', value: ({ modelCalls }) => count(modelCalls), align: 'right', whenNarrow: 'leave-out' },
  { title: 'tokens', value: ({ tokens }) => count(tokens), align: 'right' },
  { title: 'cost', value: ({ costMicros }) => `$${(costMicros / 1e6).toFixed(2)}`, align: 'right' },
  { title: 'sent', value: ({ sentBytes }) => byteSize(sentBytes), align: 'right', whenNarrow: 'leave-out' },
  { title: 'received', value: ({ receivedBytes }) => byteSize(receivedBytes), align: 'right', whenNarrow: 'leave-out' },
];

function count(value: number): string {
  return value.toLocaleString('en-US');
}
