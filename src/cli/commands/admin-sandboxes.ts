import { Command } from 'commander';
import type { KnownSandbox } from '../../client/index.ts';
import { jsonOption, limitOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import type { Column } from '../output/table.ts';
import { readPages } from '../pages.ts';

interface Options {
  readonly running?: boolean;
  readonly load?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export function adminSandboxesCommand(): Command {
  return new Command('sandboxes')
    .description('List the sandboxes of everyone, and those whose agent is gone, with what they take at the moment.')
    .option('--running', 'only those that run')
    .option('--no-load', 'without processors and memory, which take a second to see')
    .addOption(limitOption(200, 'sandboxes'))
    .addOption(jsonOption('them'))
    .action(list);
}

async function list({ running = false, load = true, limit, json = false }: Options): Promise<void> {
  const client = await connect();
  const { pages, isCut } = await readPages(limit, (page) =>
    client.admin.sandboxes.list.query({ ...page, onlyRunning: running, load }),
  );
  const empty = running ? 'No sandbox runs.' : 'There are no sandboxes.';
  await printListing({ rows: pages.flat(), columns: columnsAt(Date.now()), json, empty, isCut });
}

function columnsAt(now: number): Column<KnownSandbox>[] {
  return [
    {
      title: 'agent',
      value: ({ agent }) => agent?.name ?? '(orphan)',
      style: ({ agent }) => (agent === null ? 'yellow' : 'bold'),
      whenNarrow: 'shorten',
    },
    { title: 'owner', value: ({ agent }) => agent?.owner.name ?? '', whenNarrow: 'shorten' },
    { title: 'id', value: ({ agentId }) => agentId },
    { title: 'state', value: stateText, style: styleOfState },
    {
      title: 'since',
      value: ({ load }) => (load === null ? '' : relativeTime(load.startedAt, now)),
      whenNarrow: 'leave-out',
    },
    { title: 'cpus', value: cpusText, align: 'right', whenNarrow: 'leave-out' },
    { title: 'memory', value: memoryText, align: 'right', style: styleOfMemory },
    { title: 'disk', value: diskText, align: 'right', style: styleOfDisk, whenNarrow: 'leave-out' },
    {
      title: 'processes',
      value: ({ load }) => (load === null ? '' : String(load.pids)),
      align: 'right',
      whenNarrow: 'leave-out',
    },
    { title: 'image', value: ({ image }) => image, whenNarrow: 'leave-out' },
  ];
}

function stateText({ state, agent }: KnownSandbox): string {
  return state === 'running' && agent?.state === 'starting' ? 'starting' : state;
}

function styleOfState({ state }: KnownSandbox): 'green' | 'red' | 'dim' | undefined {
  if (state === 'running') return 'green';
  return state === 'broken' ? 'red' : 'dim';
}

function cpusText({ load, agent }: KnownSandbox): string {
  if (load === null) return '';
  return `${load.cpus.toFixed(2)}${agent === null ? '' : ` of ${agent.limits.cpus}`}`;
}

function memoryText({ load, agent }: KnownSandbox): string {
  if (load === null) return '';
  return `${byteSize(load.memoryBytes)}${agent === null ? '' : ` of ${byteSize(agent.limits.memoryBytes)}`}`;
}

function styleOfMemory({ load, agent }: KnownSandbox): 'yellow' | undefined {
  return load !== null && agent !== null && load.memoryBytes > agent.limits.memoryBytes * 0.9 ? 'yellow' : undefined;
}

function diskText({ agent }: KnownSandbox): string {
  const { usedBytes = null, limitBytes = null } = agent?.disk ?? {};
  if (usedBytes === null) return '';
  return `${byteSize(usedBytes)}${limitBytes === null ? '' : ` of ${byteSize(limitBytes)}`}`;
}

function styleOfDisk({ agent }: KnownSandbox): 'red' | 'yellow' | undefined {
  const state = agent?.disk.state;
  if (state === 'near') return 'yellow';
  return state === 'full' || state === 'over' || state === 'unmeasured' ? 'red' : undefined;
}
