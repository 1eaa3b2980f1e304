import { Command } from 'commander';
import type { Agent } from '../../client/index.ts';
import { jsonOption, limitOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';
import { readPages } from '../pages.ts';

export function agentsListCommand(): Command {
  return new Command('list')
    .description('List your agents, the newest first; administrators see all.')
    .addOption(limitOption(200, 'agents'))
    .addOption(jsonOption('them'))
    .action(list);
}

async function list({ limit, json = false }: { readonly limit: number; readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { pages, isCut } = await readPages(limit, (page) => client.agents.list.query(page));
  const now = Date.now();
  await printListing({
    rows: pages.flat(),
    columns: columnsAt(now),
    json,
    empty: 'No agents. Create one: caisson agents create <name>',
    isCut,
  });
}

function columnsAt(now: number): Column<Agent>[] {
  return [
    { title: 'name', value: ({ name }) => name, style: () => 'bold' },
    { title: 'id', value: ({ id }) => id },
    { title: 'sandbox', value: sandboxText, style: ({ sandbox }) => (sandbox.state === 'failed' ? 'red' : undefined) },
    { title: 'harness', value: ({ harness }) => harness },
    { title: 'model', value: ({ model }) => model ?? 'default', whenNarrow: 'shorten' },
    { title: 'created', value: ({ createdAt }) => relativeTime(createdAt, now), whenNarrow: 'leave-out' },
  ];
}

function sandboxText({ sandbox, deleting }: Agent): string {
  return deleting ? 'deleting' : sandbox.state;
}
