import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function conversationsCloseCommand(): Command {
  return new Command('close')
    .description('Close a conversation: what is under way in it is canceled, what was said stays readable.')
    .argument('<conversation>', 'its id')
    .addOption(jsonOption('it'))
    .action(close);
}

async function close(conversationId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const conversation = await client.conversations.close.mutate({ conversationId });
  if (json) await writeJson(conversation);
  else await stdout.write(`Closed ${conversation.id}\n`);
}
