import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function conversationsOpenCommand(): Command {
  return new Command('open')
    .description('Open a conversation and print its id.')
    .argument('<agent>', 'id or name')
    .option('--title <title>', 'what it is about')
    .addOption(jsonOption('the conversation'))
    .action(open);
}

async function open(
  nameOrId: string,
  { title, json = false }: { readonly title?: string; readonly json?: boolean },
): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const conversation = await client.conversations.open.mutate({ agentId, ...(title === undefined ? {} : { title }) });
  if (json) await writeJson(conversation);
  else await stdout.write(`${conversation.id}\n`);
}
