import { Command } from 'commander';
import { jsonOption, limitOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import { runColumns } from '../output/run-columns.ts';
import { readPages } from '../pages.ts';

interface Options {
  readonly conversation?: string;
  readonly limit: number;
  readonly json?: boolean;
}

export function runsListCommand(): Command {
  return new Command('list')
    .description('List the runs of an agent, the newest first.')
    .argument('<agent>', 'id or name')
    .option('--conversation <id>', 'only those of this conversation')
    .addOption(limitOption(20, 'runs'))
    .addOption(jsonOption('them'))
    .action(list);
}

async function list(nameOrId: string, { conversation, limit, json = false }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const filter = { agentId, ...(conversation === undefined ? {} : { conversationId: conversation }) };
  const { pages, isCut } = await readPages(limit, (page) => client.runs.list.query({ ...filter, ...page }));
  const empty = `No runs. Start one: ${commandName()} send ${name} "…"`;
  await printListing({ rows: pages.flat(), columns: runColumns(Date.now()), json, empty, isCut });
}
