import { Command } from 'commander';
import type { Agent } from '../../client/index.ts';
import { jsonOption, limitOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';
import { readPages } from '../pages.ts';

export function agentsListCommand(): Command {
  return new Command('list')
    .description('List your agents and those that are shared with you, the newest first; administrators see all.')
    .addOption(limitOption(200, 'agents'))
    .addOption(jsonOption('them'))
    .action(list);
}

async function list({ limit, json = false }: { readonly limit: number; readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const [{ principal }, { pages, isCut }] = await Promise.all([
    client.system.version.query(),
    readPages(limit, (page) => client.agents.list.query(page)),
  ]);
  const now = Date.now();
  const rows = pages.flat();
  const withAccess = rows.some(({ access }) => access !== 'own');
  const withOwner = principal.role === 'admin' || withAccess;
  await printListing({
    rows,
    columns: columnsAt(now, { withOwner, withAccess }),
    json,
    empty: `No agents. Create one: ${commandName()} agents create <name>`,
    isCut,
  });
}

interface Shown {
  readonly withOwner: boolean;
  readonly withAccess: boolean;
}

function columnsAt(now: number, { withOwner, withAccess }: Shown): Column<Agent>[] {
  const owner: Column<Agent> = { title: 'owner', value: ({ ownerName }) => ownerName, whenNarrow: 'shorten' };
  const access: Column<Agent> = { title: 'you may', value: ({ access }) => access, whenNarrow: 'leave-out' };
  return [
    { title: 'name', value: ({ name }) => name, style: () => 'bold', whenNarrow: 'shorten' },
    ...(withOwner ? [owner] : []),
    ...(withAccess ? [access] : []),
    { title: 'id', value: ({ id }) => id },
    { title: 'sandbox', value: sandboxText, style: ({ sandbox }) => (sandbox.state === 'failed' ? 'red' : undefined) },
    { title: 'harness', value: ({ harness }) => harness, whenNarrow: 'leave-out' },
    { title: 'model', value: ({ model }) => model ?? 'default', whenNarrow: 'shorten' },
    { title: 'created', value: ({ createdAt }) => relativeTime(createdAt, now), whenNarrow: 'leave-out' },
  ];
}

function sandboxText({ sandbox, deleting }: Agent): string {
  return deleting ? 'deleting' : sandbox.state;
}
