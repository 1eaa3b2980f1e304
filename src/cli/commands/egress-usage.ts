import { Command } from 'commander';
import { jsonOption, wholeNumber } from '../arguments.ts';
import { agentsCalled } from '../called.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { printListing } from '../output/listing.ts';
import { isoTime } from '../output/relative-time.ts';

interface Options {
  readonly days: number;
  readonly json?: boolean;
}

export function egressUsageCommand(): Command {
  return new Command('usage')
    .description('Show bytes and connections by agent and day, in UTC.')
    .argument('[agent]', 'id or name (default: all your agents)')
    .option('--days <n>', 'today and the days before', wholeNumber(1, 400), 7)
    .addOption(jsonOption('them'))
    .action(usage);
}

async function usage(nameOrId: string | undefined, { days, json = false }: Options): Promise<void> {
  const client = await connect();
  const filter = nameOrId === undefined ? {} : { agentId: (await findAgent(client, nameOrId)).id };
  const { items } = await client.egress.usage.query({ days, ...filter });
  const called = json || items.length === 0 ? String : await agentsCalled(client);
  await printListing({
    rows: items,
    columns: [
      { title: 'day', value: ({ day }) => isoTime(day)?.slice(0, 10) ?? '' },
      { title: 'agent', value: ({ agentId }) => called(agentId) },
      { title: 'connections', value: ({ connections }) => String(connections), align: 'right' },
      { title: 'denied', value: ({ denied }) => (denied === 0 ? '' : String(denied)), align: 'right' },
      { title: 'sent', value: ({ sentBytes }) => byteSize(sentBytes), align: 'right' },
      { title: 'received', value: ({ receivedBytes }) => byteSize(receivedBytes), align: 'right' },
    ],
    json,
    empty: 'Nothing has connected anywhere.',
  });
}
