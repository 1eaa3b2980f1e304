import { Command } from 'commander';
import { jsonOption, waitMs } from '../arguments.ts';
import { connect } from '../connection.ts';
import { chooseConversation, type ConversationChoice } from '../choose-conversation.ts';
import { findAgent } from '../find-agent.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { messageFrom } from '../message-text.ts';

interface Options extends ConversationChoice {
  readonly idempotencyKey?: string;
  readonly timeout?: number;
  readonly queue?: boolean;
  readonly json?: boolean;
}

export function runsStartCommand(): Command {
  return new Command('start')
    .description('Start a run and print its id without waiting for its end.')
    .argument('<agent>', 'id or name')
    .argument('<text>', 'the message; - reads it from stdin')
    .option('--conversation <id>', 'where it is said (default: your most recent open one, or a new one)')
    .option('--new', 'open a new conversation for it')
    .option('--idempotency-key <key>', 'the same key and text again give the same run instead of another')
    .option(
      '--timeout <time>',
      "end the run after this time, e.g. 10m; a plain number is seconds (default: the control plane's)",
      waitMs({ least: '1s', most: '7d' }),
    )
    .option('--queue', 'where the quotas have no room for its sandbox, wait for some instead of failing')
    .addOption(jsonOption('the answer'))
    .action(start);
}

async function start(nameOrId: string, text: string, options: Options): Promise<void> {
  const { idempotencyKey, timeout, queue = false, json = false } = options;
  const message = await messageFrom(text);
  const client = await connect();
  const agent = await findAgent(client, nameOrId);
  const { id: conversationId } = await chooseConversation(client, agent, options);
  const accepted = await client.runs.start.mutate({
    conversationId,
    message,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    whenBusy: queue ? 'queue' : 'fail',
  });
  if (json) await writeJson(accepted);
  else await stdout.write(`${accepted.runId}\n`);
}
