import { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { stderr, writeJsonLine } from '../output/sink.ts';

interface Options {
  readonly after: number;
  readonly follow?: boolean;
}

export function eventsCommand(): Command {
  return new Command('events')
    .description('Print the events of an agent in order, one JSON object a line, each with its `seq` and `type`.')
    .argument('<agent>', 'id or name')
    .option('--after <seq>', 'only those after this number', wholeNumber(0), 0)
    .option('--follow', 'go on with those that come, until you stop it')
    .action(events);
}

async function events(nameOrId: string, { after, follow = false }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  if (follow) {
    const onReconnect = ({ message }: Error): void => void stderr.write(`${message} Trying again …\n`);
    for await (const event of client.subscribe({ agentId, after, onReconnect })) await writeJsonLine(event);
    return;
  }
  for (let last = after; ;) {
    const page = await client.events.read.query({ agentId, after: last, limit: 1_000 });
    for (const event of page.events) await writeJsonLine(event);
    const newest = page.events.at(-1);
    if (newest === undefined) return;
    last = newest.seq;
  }
}
