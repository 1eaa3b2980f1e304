import { Command } from 'commander';
import type { AgentEvent, CaissonClient, ListeningPort } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import { oneLine } from '../output/printable.ts';
import { stderr, stdout, writeJsonLine } from '../output/sink.ts';
import type { Column } from '../output/table.ts';

interface Options {
  readonly json?: boolean;
  readonly follow?: boolean;
}

export function portsCommand(): Command {
  return new Command('ports')
    .description("List what listens in an agent's sandbox.")
    .argument('<agent>', 'id or name')
    .option('--follow', 'go on with ports that open and close, until you stop it')
    .addOption(jsonOption('them'))
    .action(ports);
}

async function ports(nameOrId: string, { json = false, follow = false }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  if (follow) return await followPorts(client, agentId, json);
  const { items } = await client.ports.list.query({ agentId });
  await printListing({ rows: items, columns, json, empty: 'Nothing listens.' });
}

type Owner = Pick<ListeningPort, 'port' | 'pid' | 'command'>;

/** What listens now, then each change, once. */
async function followPorts(client: CaissonClient, agentId: string, json: boolean): Promise<void> {
  const open = new Map<number, Owner>();
  const tell = async (isOpen: boolean, { port, pid, command }: Owner): Promise<void> => {
    if (open.has(port) === isOpen) return;
    if (isOpen) open.set(port, { port, pid, command });
    else open.delete(port);
    if (json) return await writeJsonLine({ type: isOpen ? 'port.opened' : 'port.closed', port, pid, command });
    const word = isOpen ? stdout.style('green', 'opened') : stdout.style('dim', 'closed');
    await stdout.write(`${word}  ${String(port).padEnd(5)}  ${oneLine(command ?? '')}\n`.replace(/ +\n$/, '\n'));
  };
  const { seq } = await client.agents.status.query({ agentId });
  for (const port of await listNow(client, agentId)) await tell(true, port);
  const onReconnect = ({ message }: Error): void => void stderr.write(`${message} Trying again …\n`);
  for await (const event of client.subscribe({ agentId, after: seq, onReconnect })) {
    if (event.type === 'port.opened' || event.type === 'port.closed') await tell(event.type === 'port.opened', event);
    else if (isStop(event)) for (const owner of open.values()) await tell(false, owner);
  }
}

/** A sandbox that stops closes all ports. */
function isStop(event: AgentEvent): boolean {
  return event.type === 'sandbox.status' && event.state !== 'running';
}

async function listNow(client: CaissonClient, agentId: string): Promise<readonly ListeningPort[]> {
  try {
    return (await client.ports.list.query({ agentId })).items;
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'SANDBOX_NOT_RUNNING') return [];
    throw thrown;
  }
}

const columns: readonly Column<ListeningPort>[] = [
  { title: 'port', value: ({ port }) => String(port), align: 'right' },
  { title: 'address', value: ({ addresses }) => addresses.join(', ') },
  { title: 'pid', value: ({ pid }) => (pid === null ? '' : String(pid)), align: 'right' },
  { title: 'command', value: ({ command }) => command ?? '', whenNarrow: 'shorten' },
];
