import { constants } from 'node:os';
import { Command, Option } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import { environmentVariable, jsonOption } from '../arguments.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { Exit } from '../failure.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import { stderr } from '../output/sink.ts';
import { terminalColumns } from '../output/terminal-columns.ts';
import { parseDetachKeys } from '../shell/detach-keys.ts';
import { playTerminal } from '../shell/play-terminal.ts';

interface Options {
  readonly terminal?: string;
  readonly observe?: boolean;
  readonly take?: boolean;
  readonly list?: boolean;
  readonly close?: boolean;
  readonly json?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly detachKeys: ReturnType<typeof parseDetachKeys>;
}

export function shellCommand(): Command {
  return new Command('shell')
    .description(
      "Open a terminal in an agent's sandbox, or come back to one. It goes on when you leave it, and when the control plane is away.",
    )
    .argument('<agent>', 'id or name')
    .argument('[command...]', 'what to run, after -- (default: a shell)')
    .option('--terminal <id>', 'attach to this one; several people may')
    .addOption(new Option('--observe', 'only watch').conflicts('take'))
    .option('--take', 'take control from whoever has it')
    .option('--list', 'list the terminals of the agent')
    .option('--close', 'end the terminal that --terminal names, with what runs in it')
    .option('--cwd <folder>', 'where to start, in the sandbox (default: /workspace)')
    .option('--env <name=value>', 'a variable of the environment; may be given several times', environmentVariable)
    .addOption(
      new Option('--detach-keys <keys>', 'leave the terminal with these')
        .argParser(parseDetachKeys)
        .default(parseDetachKeys('ctrl-p,ctrl-q'), 'ctrl-p,ctrl-q'),
    )
    .addOption(jsonOption('the list'))
    .action(shell);
}

async function shell(nameOrId: string, command: readonly string[], options: Options): Promise<void> {
  const { detachKeys } = options;
  const client = await connect();
  const { id: agentId, name } = await findAgent(client, nameOrId);
  if (options.list === true) {
    const { items } = await client.terminals.list.query({ agentId });
    return await printListing({
      rows: items,
      columns: terminalColumns(Date.now()),
      json: options.json ?? false,
      empty: `No terminals. Open one: ${commandName()} shell ${name}`,
    });
  }
  if (options.close === true) {
    await client.terminals.close.mutate({ agentId, terminalId: named(options) });
    return await stderr.write('Closed.\n');
  }
  if (options.observe === true) named(options);
  else if (!process.stdin.isTTY) {
    throw new CaissonError('BAD_REQUEST', 'There is no terminal here to type in.', {
      hint: 'Run it in a terminal; or watch with --observe --terminal <id>.',
    });
  }
  const terminalId = options.terminal ?? (await open());
  const as = options.observe === true ? 'observer' : options.take === true ? 'driver' : 'auto';
  const exit = await playTerminal(client, { agentId, terminalId, as, detachKeys });
  if (exit === null) {
    const back = `${commandName()} shell ${name} --terminal ${terminalId}`;
    return await stderr.write(`\nLeft the terminal; it goes on. Come back with:\n  ${back}\n`);
  }
  const { exitCode, signal } = exit;
  if (signal !== null) await stderr.write(`The program was ended by ${signal}.\n`);
  throw new Exit(exitCode ?? 128 + signalNumber(signal));

  async function open(): Promise<string> {
    const { columns, rows } = process.stdout;
    const size = process.stdout.isTTY && columns > 0 && rows > 0 ? { cols: columns, rows } : {};
    const { id } = await client.terminals.open.mutate({
      agentId,
      ...size,
      env: options.env,
      ...(command.length > 0 ? { command: [...command] } : {}),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const keys = detachKeys.names.join(' ');
    await stderr.write(stderr.style('dim', `${name}: ${id}. ${keys} leaves it running.\n`));
    return id;
  }
}

function named({ terminal }: Options): string {
  if (terminal !== undefined) return terminal;
  throw new CaissonError('BAD_REQUEST', 'Say which terminal.', { hint: 'Give --terminal <id>; --list shows them.' });
}

function signalNumber(name: string | null): number {
  return Object.entries(constants.signals).find(([signal]) => signal === name)?.[1] ?? 0;
}
