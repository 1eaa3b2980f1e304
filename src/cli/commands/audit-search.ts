import { Command } from 'commander';
import type { AuditRecord } from '../../client/index.ts';
import { durationMs, jsonOption, limitOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { findUser, isUserId } from '../find-user.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';
import { readPages } from '../pages.ts';

interface Options {
  readonly user?: string;
  readonly agent?: string;
  readonly action?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
  readonly json?: boolean;
}

export function auditSearchCommand(): Command {
  const ago = durationMs();
  return new Command('search')
    .description('List who did what, the newest first: what changes something, commands, and what was refused.')
    .option('--user <user>', 'id or name')
    .option('--agent <agent>', 'its id; administrators may give its name')
    .option('--action <action>', 'a procedure such as keys.create, or a route')
    .option('--since <time>', 'not longer ago than, e.g. 2h or 7d', ago)
    .option('--until <time>', 'longer ago than', ago)
    .addOption(limitOption(50, 'records'))
    .addOption(jsonOption('them'))
    .action(search);
}

async function search({ user, agent, action, since, until, limit, json = false }: Options): Promise<void> {
  const client = await connect();
  const now = Date.now();
  const filter = {
    ...(user === undefined ? {} : { userId: isUserId(user) ? user : (await findUser(client, user)).id }),
    // Auditors cannot look at agents, and those that are gone nobody can.
    ...(agent === undefined ? {} : { agentId: agent.startsWith('agt-') ? agent : (await findAgent(client, agent)).id }),
    ...(action === undefined ? {} : { action }),
    ...(since === undefined ? {} : { since: now - since }),
    ...(until === undefined ? {} : { until: now - until }),
  };
  const { pages, isCut } = await readPages(limit, (page) => client.audit.search.query({ ...filter, ...page }));
  await printListing({ rows: pages.flat(), columns: columnsAt(now), json, empty: 'No such records.', isCut });
}

function columnsAt(now: number): Column<AuditRecord>[] {
  return [
    { title: 'seq', value: ({ seq }) => String(seq) },
    { title: 'when', value: ({ at }) => relativeTime(at, now) },
    { title: 'who', value: ({ userName, userId }) => userName ?? userId ?? '-', style: () => 'bold' },
    { title: 'action', value: ({ action }) => action },
    {
      title: 'outcome',
      value: ({ outcome, count }) => (count === 1 ? outcome : `${outcome} ×${count}`),
      style: ({ outcome }) => (outcome === 'ok' ? undefined : 'red'),
    },
    { title: 'about', value: ({ targets }) => targets.join(' '), whenNarrow: 'leave-out' },
    { title: 'from', value: ({ address }) => address ?? '-', whenNarrow: 'leave-out' },
    { title: 'details', value: detailsText, whenNarrow: 'shorten' },
  ];
}

function detailsText({ details }: AuditRecord): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(' ') : String(value)}`)
    .join(' ');
}
