import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function conversationsOpenCommand(): Command {
  return new Command('open')
    .description('Open a conversation and print its id.')
    .argument('<agent>', 'id or name')
    .option('--title <title>', 'what it is about')
    .option('--model <id>', `its model (default: the agent's); \`${commandName()} agents show\` lists them`)
    .option('--mode <id>', "its mode (default: the harness's)")
    .addOption(jsonOption('the conversation'))
    .action(open);
}

interface Options {
  readonly title?: string;
  readonly model?: string;
  readonly mode?: string;
  readonly json?: boolean;
}

async function open(nameOrId: string, { json = false, ...request }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const conversation = await client.conversations.open.mutate({ agentId, ...request });
  if (json) await writeJson(conversation);
  else await stdout.write(`${conversation.id}\n`);
}
