import { Command } from 'commander';
import type { EgressLogEntry } from '../../client/index.ts';
import { jsonOption, limitOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { printListing } from '../output/listing.ts';
import { oneLine } from '../output/printable.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';
import { readPages } from '../pages.ts';

interface Options {
  readonly host?: string;
  readonly limit: number;
  readonly json?: boolean;
}

/** Characters: the longest name of a host, with what is said of it. */
const mostOfReason = 500;

export function egressLogCommand(): Command {
  return new Command('log')
    .description('Show where an agent has connected, and where it was denied, by hour and place.')
    .argument('<agent>', 'id or name')
    .option('--host <host>', 'of this one alone')
    .addOption(limitOption(50, 'entries'))
    .addOption(jsonOption('them'))
    .action(log);
}

async function log(nameOrId: string, { host, limit, json = false }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const { pages, isCut } = await readPages(limit, (page) =>
    client.egress.log.query({ agentId, ...(host !== undefined && { host }), ...page }),
  );
  const empty = 'It has connected nowhere.';
  await printListing({ rows: pages.flat(), columns: columns(Date.now()), json, empty, isCut });
}

function columns(now: number): Column<EgressLogEntry>[] {
  return [
    { title: 'last', value: ({ lastAt }) => relativeTime(lastAt, now) },
    { title: 'times', value: ({ connections }) => String(connections), align: 'right' },
    {
      title: 'outcome',
      value: ({ outcome }) => outcome,
      style: ({ decision, outcome }) => (decision === 'deny' || outcome === 'refused' ? 'red' : 'green'),
    },
    { title: 'host', value: ({ host, port }) => (host === '' ? 'others' : `${host}:${port}`) },
    { title: 'rule', value: ({ rule }) => rule ?? '' },
    { title: 'secret', value: ({ withSecret }) => (withSecret === 0 ? '' : 'used'), whenNarrow: 'leave-out' },
    { title: 'sent', value: ({ sentBytes }) => (sentBytes === 0 ? '' : byteSize(sentBytes)), align: 'right' },
    {
      title: 'received',
      value: ({ receivedBytes }) => (receivedBytes === 0 ? '' : byteSize(receivedBytes)),
      align: 'right',
    },
    { title: 'why', value: ({ reason }) => oneLine(reason ?? '', mostOfReason), whole: true },
  ];
}
