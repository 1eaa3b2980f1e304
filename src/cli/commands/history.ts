import { Command } from 'commander';
import type { Message } from '../../client/index.ts';
import { jsonOption, limitOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';
import { readPages } from '../pages.ts';
import { printRunEnd } from '../turn/run-end-text.ts';

interface Options {
  readonly conversation?: string;
  readonly limit: number;
  readonly json?: boolean;
}

export function historyCommand(): Command {
  return new Command('history')
    .description('Show what was said, the oldest first.')
    .argument('<agent>', 'id or name')
    .option('--conversation <id>', 'only in this conversation')
    .addOption(limitOption(100, 'messages'))
    .addOption(jsonOption('the messages'))
    .action(history);
}

async function history(nameOrId: string, { conversation, limit, json = false }: Options): Promise<void> {
  const [client, { messageText }] = await Promise.all([connect(), import('../../client/index.ts')]);
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const filter = { agentId, ...(conversation === undefined ? {} : { conversationId: conversation }) };
  const { pages, isCut } = await readPages(limit, (page) => client.agents.history.query({ ...filter, ...page }));
  const messages = pages.toReversed().flat();
  if (json) return await writeJson(messages);
  if (messages.length === 0) return await stderr.write('Nothing was said yet.\n');
  if (isCut)
    await stderr.write(`${stderr.style('dim', 'Earlier messages are left out; raise --limit to see them.')}\n\n`);
  // Each run has a message at least: as many of the newest are those of these messages, but where conversations overlap.
  const runs = await readPages(messages.length, (page) => client.runs.list.query({ ...filter, ...page }));
  const ends = new Map(runs.pages.flat().map((run) => [run.id, run]));
  const lastOf = new Map(messages.map((message) => [message.runId, message]));
  const now = Date.now();
  let last: Message | undefined;
  for (const message of messages) {
    if (message.conversationId !== last?.conversationId) {
      await stdout.write(`${last === undefined ? '' : '\n'}${stdout.style('dim', message.conversationId)}\n`);
    }
    const goesOn = last?.runId === message.runId && last.role === message.role;
    await stdout.write(goesOn ? '\n' : `\n${headOf(message, name, now)}\n`);
    await stdout.writeForeign(`${messageText(message)}\n`);
    const run = message.runId === null ? undefined : ends.get(message.runId);
    if (run !== undefined && lastOf.get(run.id) === message) await printRunEnd(run);
    last = message;
  }
}

function headOf({ role, createdAt }: Message, agentName: string, now: number): string {
  const who = role === 'user' ? stdout.style(['bold', 'green'], 'user') : stdout.style(['bold', 'cyan'], agentName);
  return `${who}  ${stdout.style('dim', relativeTime(createdAt, now))}`;
}
