import { once } from 'node:events';
import { Command } from 'commander';
import type { ProcessLogPart } from '../../client/index.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { stderr, writeJsonLine } from '../output/sink.ts';

interface Options {
  readonly follow?: boolean;
  readonly after: number;
  readonly json?: boolean;
}

export function logsCommand(): Command {
  return new Command('logs')
    .description(
      'Print the output of a process that was started in the background: what it said on stdout to stdout, and the same with ' +
        'stderr. The last MiB is kept; a note on stderr says how many bytes before it are gone.',
    )
    .argument('<agent>', 'id or name')
    .argument('<process>', 'its id, as `caisson ps` shows it')
    .option('-f, --follow', 'go on until its output ends, or you stop it')
    .option('--after <offset>', 'only what came after so many bytes', wholeNumber(0), 0)
    .addOption(jsonOption('each part, with its offset,'))
    .action(logs);
}

async function logs(
  nameOrId: string,
  processId: string,
  { follow = false, after, json = false }: Options,
): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const onReconnect = ({ message }: Error): void => void stderr.write(`${message} Trying again …\n`);
  for await (const part of client.processes.logs({ agentId, processId, follow, after, onReconnect })) {
    await (json ? writeJsonLine(jsonOf(part)) : print(part));
  }
}

async function print(part: ProcessLogPart): Promise<void> {
  if (part.type === 'lost') {
    await stderr.write(`${stderr.style('yellow', 'note:')} ${part.bytes} bytes of the output are gone here.\n`);
  } else if (part.type === 'output') {
    const stream = process[part.stream];
    if (!stream.write(part.data)) await once(stream, 'drain');
  }
}

/** Bytes as base64, which is exact. */
function jsonOf(part: ProcessLogPart): object {
  return part.type === 'output' ? { ...part, data: Buffer.from(part.data).toString('base64') } : part;
}
