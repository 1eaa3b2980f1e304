import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { agentsCalled } from '../called.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';

export function egressPendingCommand(): Command {
  return new Command('pending')
    .description('List connections that wait for a decision, the oldest first.')
    .argument('[agent]', 'id or name (default: all your agents)')
    .addOption(jsonOption('them'))
    .action(pending);
}

async function pending(nameOrId: string | undefined, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const filter = nameOrId === undefined ? {} : { agentId: (await findAgent(client, nameOrId)).id };
  const { items } = await client.egress.pending.query(filter);
  const now = Date.now();
  const called = json || items.length === 0 ? String : await agentsCalled(client);
  await printListing({
    rows: items,
    columns: [
      { title: 'request', value: ({ id }) => id },
      { title: 'agent', value: ({ agentId }) => called(agentId), whenNarrow: 'shorten' },
      { title: 'expires', value: ({ expiresAt }) => relativeTime(expiresAt, now) },
      { title: 'waiting', value: ({ waiting }) => String(waiting), align: 'right' },
      { title: 'host', value: ({ host }) => host },
      { title: 'ports', value: ({ ports }) => ports.join(' ') },
    ],
    json,
    empty: 'Nothing waits for a decision.',
  });
}
