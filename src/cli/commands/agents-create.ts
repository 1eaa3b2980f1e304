import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { diskOption } from '../disk-option.ts';
import { printable } from '../output/printable.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';

interface Options {
  readonly wait?: boolean;
  readonly harness?: string;
  readonly model?: string;
  readonly disk?: number;
  readonly json?: boolean;
}

export function agentsCreateCommand(): Command {
  return new Command('create')
    .description('Create an agent. Its sandbox is brought up in the background.')
    .argument('<name>', 'lower-case letters, digits and hyphens; unique among your agents')
    .option('--wait', 'answer only when the sandbox runs')
    .option('--harness <id>', 'the coding agent that works in it (default: the first that the control plane offers)')
    .option('--model <id>', "its model (default: the control plane's)")
    .addOption(diskOption())
    .addOption(jsonOption('the agent'))
    .action(create);
}

async function create(name: string, { wait = false, harness, model, disk, json = false }: Options): Promise<void> {
  const client = await connect();
  if (wait && stderr.isTerminal) await stderr.write(`${stderr.style('dim', 'The sandbox is starting …')}\n`);
  const agent = await client.agents.create.mutate({
    name,
    wait,
    ...(harness === undefined ? {} : { harness }),
    ...(model === undefined ? {} : { model }),
    ...(disk === undefined ? {} : { limits: { diskBytes: disk } }),
  });
  if (json) return await writeJson(agent);
  await stdout.write(`Created ${stdout.style('bold', agent.name)} ${agent.id}\n`);
  const { sandbox } = agent;
  if (sandbox.state === 'stopped') await stderr.write(`Its sandbox was not started: ${printable(sandbox.reason)}\n`);
  await stderr.write(`${stderr.style('dim', `Talk to it: ${commandName()} chat ${agent.name}`)}\n`);
}
