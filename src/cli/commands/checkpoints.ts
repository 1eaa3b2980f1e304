import { Command } from 'commander';
import type { Checkpoint } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';

export function checkpointsCommand(): Command {
  return new Command('checkpoints')
    .description('List the checkpoints of an agent, the newest first: what its files can be put back to.')
    .argument('<agent>', 'id or name')
    .addOption(jsonOption('them'))
    .action(list);
}

async function list(nameOrId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const { items } = await client.changes.checkpoints.query({ agentId });
  const empty = `No checkpoints: one is taken before each run. Start one: ${commandName()} send ${name} "…"`;
  await printListing({ rows: items, columns: columns(Date.now()), json, empty });
}

function columns(now: number): readonly Column<Checkpoint>[] {
  return [
    { title: 'checkpoint', value: ({ id }) => id },
    { title: 'before', value: ({ kind }) => (kind === 'run' ? 'a run' : 'a restore') },
    { title: 'taken', value: ({ at }) => relativeTime(at, now) },
    {
      title: 'note',
      value: ({ failure, leftOutTotal }) => failure ?? (leftOutTotal > 0 ? `without ${leftOutTotal} files` : ''),
    },
  ];
}
