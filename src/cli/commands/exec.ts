import { once } from 'node:events';
import { constants } from 'node:os';
import { Command } from 'commander';
import type { CaissonClient, ProcessEnd, RemoteProcess } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { environmentVariable, waitMs } from '../arguments.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit, reportFailure } from '../failure.ts';
import { findAgent } from '../find-agent.ts';
import { stdout } from '../output/sink.ts';

interface Options {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeout?: number;
  readonly stdin: boolean;
  readonly detach?: boolean;
}

export function execCommand(): Command {
  return new Command('exec')
    .description(
      'Run a command in the sandbox of an agent, with its input and outputs here. Ctrl-C interrupts it; once more kills it. ' +
        'It is killed when this command goes. No shell is involved: use `-- bash -c "…"` where you want one.\n\n' +
        'It exits as the command does: with its code, or with 128 and the number of the signal that ended it.\n' +
        '124: its time was up.\n125: Caisson could not run it.\n126: it cannot be executed.\n127: there is no such program.',
    )
    .argument('<agent>', 'id or name')
    .argument('<command...>', 'the program and its arguments, after --')
    .option('--cwd <folder>', 'where it begins (default: the workspace)')
    .option('-e, --env <name=value>', 'a variable of its environment; may be given several times', environmentVariable)
    .option(
      '--timeout <time>',
      'end it after this time, e.g. 90s or 10m; a plain number is seconds (default: none)',
      waitMs({ least: '1ms', most: '24d' }),
    )
    .option('--no-stdin', 'give it no input')
    .option('-d, --detach', 'start it in the background, and print its id: see `caisson logs`, `ps` and `kill`')
    .action(exec);
}

async function exec(nameOrId: string, command: readonly string[], options: Options): Promise<void> {
  let end: ProcessEnd | undefined;
  try {
    const client = await connect();
    const { id: agentId } = await findAgent(client, nameOrId);
    if (options.detach === true) await start(client, agentId, command, options);
    else end = await run(client, agentId, command, options);
  } catch (thrown) {
    await reportFailure(thrown, 'exec');
    throw new Exit(failureCode(thrown));
  }
  const exitCode = end === undefined ? exitCodes.ok : exitCodeOf(end);
  if (exitCode !== 0) throw new Exit(exitCode);
}

async function start(
  client: CaissonClient,
  agentId: string,
  command: readonly string[],
  { cwd, env, timeout }: Options,
): Promise<void> {
  if (timeout !== undefined) {
    throw new CaissonError('BAD_REQUEST', 'What runs in the background has no time-out.', {
      hint: 'Leave --timeout or --detach out; `caisson kill` ends it.',
    });
  }
  const { id } = await client.processes.start.mutate({ agentId, command: [...command], cwd, env });
  await stdout.write(`${id}\n`);
}

async function run(
  client: CaissonClient,
  agentId: string,
  command: readonly string[],
  { cwd, env, timeout, stdin }: Options,
): Promise<ProcessEnd> {
  const child = await client.processes.spawn({ agentId, command, cwd, env, timeoutMs: timeout });
  using _signals = passSignals(child);
  if (stdin) void passInput(child);
  else await child.stdin.close();
  await Promise.all([passOutput(child.stdout, process.stdout), passOutput(child.stderr, process.stderr)]);
  const end = await child.exit;
  process.stdin.destroy(); // nobody reads it any more, and it would hold this process
  return end;
}

/** Each write waits until the last one has gone: nothing piles up here, and the process waits for a slow terminal. */
async function passOutput(from: ReadableStream<Uint8Array>, to: NodeJS.WriteStream): Promise<void> {
  for await (const bytes of from) if (!to.write(bytes)) await once(to, 'drain');
}

async function passInput({ stdin }: RemoteProcess): Promise<void> {
  const writer = stdin.getWriter();
  try {
    for await (const bytes of process.stdin as AsyncIterable<Buffer>) await writer.write(bytes);
    await writer.close();
  } catch {
    // The process reads no more, or has ended, and its end says how.
  }
}

/** The first interrupt is the process's own; the second one kills it, as does the end of this terminal. */
function passSignals(child: RemoteProcess): Disposable {
  let interrupts = 0;
  const onInterrupt = (): void => child.kill(interrupts++ === 0 ? 'SIGINT' : 'SIGKILL');
  const onTerminate = (): void => child.kill('SIGTERM');
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  return {
    [Symbol.dispose]: () => void process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate),
  };
}

function exitCodeOf({ exitCode, signal, timedOut }: ProcessEnd): number {
  if (timedOut) return exitCodes.timedOut;
  if (exitCode !== null) return exitCode;
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1] ?? 0;
  return 128 + number;
}

function failureCode(thrown: unknown): number {
  if (!(thrown instanceof CaissonError) || thrown.code !== 'PROCESS_NOT_STARTED') return exitCodes.notRun;
  return thrown.details['reason'] === 'ENOENT' ? exitCodes.noProgram : exitCodes.noExecutable;
}
