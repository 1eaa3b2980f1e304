import { Command } from 'commander';
import type { AgentSnapshot } from '../../client/index.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { diskText } from '../output/disk-text.ts';
import { conversationColumns } from '../output/conversation-columns.ts';
import { permissionColumns } from '../output/permission-columns.ts';
import { printable } from '../output/printable.ts';
import { relativeTime } from '../output/relative-time.ts';
import { runColumns } from '../output/run-columns.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { record, table, type Column } from '../output/table.ts';

export function agentsShowCommand(): Command {
  return new Command('show')
    .description('Show an agent: its sandbox, conversations, runs under way and open permission requests.')
    .argument('<agent>', 'id or name')
    .addOption(jsonOption('all of it'))
    .action(show);
}

async function show(nameOrId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const snapshot = await client.agents.status.query({ agentId });
  if (json) return await writeJson(snapshot);
  await stdout.write(record(entriesOf(snapshot, Date.now()), stdout.style, stdout.columns));
  const now = Date.now();
  await section('Conversations', snapshot.conversations, conversationColumns(now));
  await section('Runs under way', snapshot.activeRuns, runColumns(now));
  await section('Waiting for your answer', snapshot.pendingPermissions, permissionColumns(now));
}

async function section<Row>(title: string, rows: readonly Row[], columns: readonly Column<Row>[]): Promise<void> {
  if (rows.length === 0) return;
  await stdout.write(`\n${stdout.style('bold', title)}\n${table(rows, columns, stdout.style, stdout.columns)}`);
}

function entriesOf({ agent, activity, seq, offer }: AgentSnapshot, now: number): (readonly [string, string])[] {
  const { limits, sandbox } = agent;
  return [
    ['name', agent.name],
    ['id', agent.id],
    ['owner', agent.ownerName],
    ['you may', agent.access],
    ['activity', agent.deleting ? 'deleting' : activity],
    ['sandbox', sandboxText(sandbox)],
    ['provider', agent.provider],
    ['harness', agent.harness],
    ['model', agent.model ?? 'default'],
    ['models to choose', choices(offer?.models)],
    ['modes to choose', choices(offer?.modes)],
    ['limits', `${limits.cpus} CPUs, ${byteSize(limits.memoryBytes)}, ${limits.pids} processes`],
    ['disk', diskText(agent.disk, now)],
    ['events', String(seq)],
    ['created', relativeTime(agent.createdAt, now)],
  ];
}

function choices(offered: NonNullable<AgentSnapshot['offer']>['models'] | undefined): string {
  if (offered === undefined) return 'known after the first conversation';
  return offered.length === 0 ? 'none' : printable(offered.map(({ id }) => id).join(', '));
}

function sandboxText(sandbox: AgentSnapshot['agent']['sandbox']): string {
  switch (sandbox.state) {
    case 'starting':
      return 'starting';
    case 'running':
      return `running (${sandbox.incarnation})`;
    case 'stopped':
      return printable(`stopped: ${sandbox.reason}`);
    case 'failed':
      return printable(`failed: ${sandbox.message} (${sandbox.code})`);
  }
}
