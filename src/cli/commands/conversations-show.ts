import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printable } from '../output/printable.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { record } from '../output/table.ts';

export function conversationsShowCommand(): Command {
  return new Command('show')
    .description('Show a conversation.')
    .argument('<conversation>', 'its id')
    .addOption(jsonOption('it'))
    .action(show);
}

async function show(conversationId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const conversation = await client.conversations.get.query({ conversationId });
  if (json) return await writeJson(conversation);
  const { id, title, status, agentId, model, mode, sessionId, createdAt, updatedAt } = conversation;
  const now = Date.now();
  const entries = [
    ['conversation', id],
    ['title', printable(title)],
    ['status', status],
    ['agent', agentId],
    ['model', printable(model ?? "the agent's")],
    ['mode', printable(mode ?? "the harness's default")],
    ['session', sessionId ?? 'none yet'],
    ['opened', relativeTime(createdAt, now)],
    ['last message', relativeTime(updatedAt, now)],
  ] as const;
  await stdout.write(record(entries, stdout.style, stdout.columns));
}
