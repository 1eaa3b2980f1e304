import { Command } from 'commander';
import { jsonOption, limitOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { conversationColumns } from '../output/conversation-columns.ts';
import { printListing } from '../output/listing.ts';
import { readPages } from '../pages.ts';

export function conversationsListCommand(): Command {
  return new Command('list')
    .description('List the conversations of an agent, the newest first.')
    .argument('<agent>', 'id or name')
    .addOption(limitOption(50, 'conversations'))
    .addOption(jsonOption('them'))
    .action(list);
}

async function list(
  nameOrId: string,
  { limit, json = false }: { readonly limit: number; readonly json?: boolean },
): Promise<void> {
  const client = await connect();
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const { pages, isCut } = await readPages(limit, (page) => client.conversations.list.query({ agentId, ...page }));
  const empty = `No conversations. Begin one: ${commandName()} chat ${name}`;
  await printListing({ rows: pages.flat(), columns: conversationColumns(Date.now()), json, empty, isCut });
}
