import { Command, Option } from 'commander';
import type { ProcessSignal } from '../../client/index.ts';
import { signalName, waitMs } from '../arguments.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { findAgent } from '../find-agent.ts';
import { stderr } from '../output/sink.ts';

interface Options {
  readonly signal: ProcessSignal;
  readonly grace: number;
  readonly only?: boolean;
}

export function killCommand(): Command {
  return new Command('kill')
    .description(
      'End a process in the sandbox of an agent, with all that it started: first by a signal, and after a grace by SIGKILL.',
    )
    .argument('<agent>', 'id or name')
    .argument('<process>', 'its id or its pid, as `caisson ps` shows them')
    .option('-s, --signal <name>', 'what is sent first, e.g. TERM, INT or KILL', signalName, 'SIGTERM')
    .addOption(
      new Option('--grace <time>', 'how long it has until SIGKILL, at most 60s; a plain number is seconds')
        .argParser(waitMs({ most: '60s' }))
        .default(5_000, '5s'),
    )
    .option('--only', 'only send the signal: to the group of an id, to one process for a pid')
    .action(kill);
}

async function kill(nameOrId: string, target: string, { signal, grace, only = false }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId } = await findAgent(client, nameOrId);
  const process = /^\d{1,9}$/.test(target) ? { pid: Number(target) } : { processId: target };
  if (only) {
    await client.processes.signal.mutate({ agentId, ...process, signal });
    return;
  }
  const { found, left } = await client.processes.kill.mutate({ agentId, ...process, signal, graceMs: grace });
  if (left.length > 0) {
    await stderr.write(`error: still there after SIGKILL: ${left.join(', ')}\n`);
    throw new Exit(exitCodes.failed);
  }
  await stderr.write(
    found === 0 ? 'It had ended already.\n' : `Ended ${found === 1 ? '1 process' : `${found} processes`}.\n`,
  );
}
