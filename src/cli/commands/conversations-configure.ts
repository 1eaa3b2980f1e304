import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function conversationsConfigureCommand(): Command {
  return new Command('configure')
    .description('Choose the model and the mode of a conversation, from its next turn on. What is left out stays.')
    .argument('<conversation>', 'its id')
    .option('--model <id>', `one of those that \`${commandName()} agents show\` lists`)
    .option('--no-model', "the agent's model again")
    .option('--mode <id>', `one of those that \`${commandName()} agents show\` lists`)
    .option('--no-mode', "the harness's default mode again")
    .addOption(jsonOption('the conversation'))
    .action(configure);
}

interface Options {
  /** False: `--no-model`. */
  readonly model?: string | false;
  readonly mode?: string | false;
  readonly json?: boolean;
}

async function configure(conversationId: string, { model, mode, json = false }: Options): Promise<void> {
  if (model === undefined && mode === undefined) {
    throw new CaissonError('BAD_REQUEST', 'There is nothing to change.', { hint: 'Give --model, --mode or both.' });
  }
  const client = await connect();
  const conversation = await client.conversations.configure.mutate({
    conversationId,
    ...(model === undefined ? {} : { model: model === false ? null : model }),
    ...(mode === undefined ? {} : { mode: mode === false ? null : mode }),
  });
  if (json) return await writeJson(conversation);
  const words = `model ${conversation.model ?? 'default'}, mode ${conversation.mode ?? 'default'}`;
  await stdout.write(`From the next turn on: ${words}\n`);
}
