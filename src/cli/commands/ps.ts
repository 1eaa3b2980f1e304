import { Command } from 'commander';
import type { ProcessList } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { commandText } from '../output/command-text.ts';
import { printable } from '../output/printable.ts';
import { processColumns } from '../output/process-columns.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stdout, stderr, writeJson } from '../output/sink.ts';
import { table } from '../output/table.ts';
import { wrapWords } from '../output/wrap-words.ts';
import { treeRows } from '../output/process-tree.ts';

interface Options {
  readonly json?: boolean;
}

export function psCommand(): Command {
  return new Command('ps')
    .description(
      'Show what runs in the sandbox of an agent: every process as a tree, with whom it belongs to, and what was started ' +
        'through Caisson and has ended. How it ended, and its output (`caisson logs`), are remembered for an hour.',
    )
    .argument('<agent>', 'id or name')
    .addOption(jsonOption('all of it'))
    .action(ps);
}

async function ps(nameOrId: string, { json = false }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const list = await client.processes.list.query({ agentId });
  if (json) {
    await writeJson(list);
    return;
  }
  const now = Date.now();
  await stdout.write(table(treeRows(list.tree), processColumns(now), stdout.style, stdout.columns));
  if (list.isTreeCut) await stderr.write('There are more processes than these.\n');
  await stdout.write(endedText(list, now));
  await stderr.write(`${stderr.style('dim', wrapWords(limitsText(list), { width: stderr.columns, indent: 0 }))}\n`);
}

function endedText({ processes }: ProcessList, now: number): string {
  const ended = processes.filter(({ state }) => state === 'exited');
  if (ended.length === 0) return '';
  const columns = [
    { title: 'ended', value: ({ id }: (typeof ended)[number]) => id },
    { title: 'when', value: ({ endedAt }: (typeof ended)[number]) => relativeTime(endedAt ?? now, now) },
    { title: 'how', value: ({ exitCode, signal }: (typeof ended)[number]) => signal ?? `exit code ${exitCode}` },
    {
      title: 'output',
      value: ({ output }: (typeof ended)[number]) => byteSize(output.end),
      align: 'right' as const,
    },
    {
      title: 'command',
      value: ({ command }: (typeof ended)[number]) => printable(commandText(command)),
      whenNarrow: 'shorten' as const,
    },
  ];
  return `\n${table(ended, columns, stdout.style, stdout.columns)}`;
}

function limitsText({ limits }: ProcessList): string {
  const of = ({ used, most }: { used: number; most: number | null }, show: (value: number) => string): string =>
    most === null ? show(used) : `${show(used)} of ${show(most)}`;
  return `started through Caisson: ${of(limits.processes, String)} · processes and threads: ${of(limits.pids, String)} · memory: ${of(limits.memoryBytes, byteSize)}`;
}
