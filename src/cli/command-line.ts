import { type Argument, Command, CommanderError, Help, type Option } from 'commander';
import { advice, commandName } from './command-name.ts';
import { commandTable } from './command-table.ts';
import { exitCodes } from './exit-codes.ts';
import { reportFailure } from './failure.ts';
import { usageHint } from './hint.ts';
import { packageVersion } from './version.ts';

const description = `The control plane for sandboxed coding agents.`;

const environmentHelp = advice(`
Environment:
  CAISSON_URL      where the control plane is (default: CAISSON_HOST and
                   CAISSON_PORT, else http://127.0.0.1:7070)
  CAISSON_API_KEY  who you are (default: admin.key of CAISSON_DATA_DIR, which
                   is .caisson)

Agents are named by id or by name. \`caisson <command> --help\` tells more.
`);

/** Runs one command and returns the exit code of the process. Never rejects. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const isServer = args[0] === 'start';
  leaveQuietlyWhenNobodyReads({ isServer });
  if (!isServer) reportDefects(); // a server's crash is shown whole
  let command: string | undefined;
  try {
    const wanted = args[0] === 'help' ? [...args.slice(1), '--help'] : args;
    const program = await buildProgram(wanted);
    program.hook('preAction', (_program, action) => {
      command = pathOf(action);
    });
    await program.parseAsync(wanted, { from: 'user' });
    return exitCodes.ok;
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) return await reportFailure(thrown, command);
    if (thrown.exitCode === 0) return exitCodes.ok;
    return args[0] === 'exec' ? exitCodes.notRun : exitCodes.usage; // commander has said why
  }
}

async function buildProgram(args: readonly string[]): Promise<Command> {
  const program = new Command(commandName())
    .description(description)
    .version(packageVersion(), '-V, --version')
    .addHelpText('after', environmentHelp)
    .commandsGroup('Help:')
    .helpCommand('help [command...]', 'tell more about a command');
  const at = args.findIndex((arg) => !arg.startsWith('-'));
  const [wanted, asked] = at < 0 ? [] : args.slice(at);
  for (const [name, { group, summary, load }] of Object.entries(commandTable)) {
    const command = wanted === name ? await load(asked) : new Command(name);
    program.addCommand(command.summary(summary).helpGroup(`${group}:`));
  }
  for (const command of everyCommand(program)) {
    command
      .exitOverride()
      .showSuggestionAfterError()
      .configureHelp({ showGlobalOptions: false, subcommandTerm, subcommandDescription, ...asTypedHere })
      .configureOutput({
        outputError: (text, write) =>
          write(`${text.replace(commandersWords, '$1')}hint: ${usageHint(pathOf(command), text)}\n`),
      });
  }
  return program;
}

/** Its parser says "command-argument value 'x' is invalid for argument 'port'." */
const commandersWords = /command-argument value ('.*' is invalid for argument)/;

const plainHelp = new Help();

/** Commands as they have to be typed here, and defaults as well: not in quotes. */
const asTypedHere = {
  commandDescription: (command: Command) => advice(plainHelp.commandDescription(command)),
  argumentDescription: (argument: Argument) => advice(plainHelp.argumentDescription(argument)),
  optionDescription: (option: Option) =>
    advice(plainHelp.optionDescription(option).replace(/\(default: "(.*)"\)$/, '(default: $1)')),
};

/** What there is to type, short enough for a column. */
function subcommandTerm(command: Command): string {
  const words = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...words].join(' ');
}

/** The first sentence. */
function subcommandDescription(command: Command): string {
  const text = command.summary() || command.description();
  return /^.*?\.(?=\s|$)/s.exec(text)?.[0] ?? text;
}

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* everyCommand(child);
}

/** E.g. `files rm`; empty for the program itself. */
function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trimStart();
}

/** What nobody caught is told like any other error, without a stack. */
function reportDefects(): void {
  process.on('uncaughtException', (thrown) => {
    void reportFailure(thrown).then((exitCode) => process.exit(exitCode));
  });
}

/**
 * `caisson events a | head` ends when head has seen enough, which is no error. A server goes on without a reader of its notes, and
 * with a full disk under them.
 */
function leaveQuietlyWhenNobodyReads({ isServer }: { readonly isServer: boolean }): void {
  if (isServer) process.stderr.on('error', () => undefined);
  for (const stream of isServer ? [process.stdout] : [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(exitCodes.ok);
      throw error;
    });
  }
}
