import { Command } from 'commander';
import type { AgentEvent, CaissonClient, SendOptions, Turn } from '../../client/index.ts';
import { jsonOption, waitMs } from '../arguments.ts';
import { chooseConversation, type ConversationChoice } from '../choose-conversation.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { findAgent } from '../find-agent.ts';
import { messageFrom } from '../message-text.ts';
import { shownForApproval, subjectsOf } from '../output/permission-subject.ts';
import { printable } from '../output/printable.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';
import { openInput } from '../turn/open-input.ts';
import { PermissionDesk } from '../turn/permission-desk.ts';
import { runEndText } from '../turn/run-end-text.ts';
import { TurnView } from '../turn/turn-view.ts';

interface Options extends ConversationChoice {
  readonly timeout?: number;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export function sendCommand(): Command {
  return new Command('send')
    .description(
      'Send a message and wait for the end of the run. The answer goes to stdout, progress to stderr.\n' +
        'Exits with 3 when the run did not complete. Ctrl-C cancels the run; once more leaves without waiting.',
    )
    .argument('<agent>', 'id or name')
    .argument('<text>', 'the message; - reads it from stdin')
    .option('--conversation <id>', 'where it is said (default: your most recent open one, or a new one)')
    .option('--new', 'open a new conversation for it')
    .option(
      '--timeout <time>',
      "end the run after this time, e.g. 10m; a plain number is seconds (default: the control plane's)",
      waitMs({ least: '1s', most: '7d' }),
    )
    .option('-q, --quiet', 'no progress')
    .addOption(jsonOption('the run and the reply as one object'))
    .action(send);
}

async function send(nameOrId: string, text: string, options: Options): Promise<void> {
  const { timeout, quiet = false, json = false } = options;
  const message = await messageFrom(text);
  const client = await connect();
  const agent = await findAgent(client, nameOrId);
  const conversation = await chooseConversation(client, agent, options);
  const cancel = new AbortController();
  using _interrupt = cancelOnInterrupt(cancel);
  const request = {
    agentId: agent.id,
    conversationId: conversation.id,
    text: message,
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  };
  const presentation = { json, quiet, hadSession: conversation.sessionId !== null, cancel };
  const { run, reply } = await sendAndShow(client, request, presentation);
  if (json) await writeJson({ run, reply } satisfies Turn);
  if (run.state === 'completed') {
    if (run.reason !== 'end_turn')
      await stderr.write(`${stderr.style('yellow', 'note:')} ${printable(runEndText(run))}\n`);
    return;
  }
  await stderr.write(`${stderr.style('red', 'error:')} run ${run.id} ${printable(runEndText(run))}\n`);
  throw new Exit(cancel.signal.aborted ? exitCodes.interrupted : exitCodes.runNotCompleted);
}

interface Presentation {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly hadSession: boolean;
  readonly cancel: AbortController;
}

/** A person at a terminal sees the answer as it grows; a pipe gets each message when it is whole. */
async function sendAndShow(client: CaissonClient, request: SendOptions, presentation: Presentation): Promise<Turn> {
  const { json, quiet, hadSession, cancel } = presentation;
  const live = !json && !quiet && stdout.isTerminal && stderr.isTerminal;
  const view = new TurnView(live ? stdout : stderr, { speech: live ? 'live' : 'none', hadSession });
  const printer = json || live ? undefined : new MessagePrinter();
  using input = process.stdin.isTTY && stderr.isTerminal ? await openInput(stderr, process.stderr) : undefined;
  await using desk = input === undefined ? undefined : new PermissionDesk({ client, sink: stderr, input });
  using _interrupt = input?.onInterrupt(() => interrupt(cancel));
  const onEvent = async (event: AgentEvent): Promise<void> => {
    if (!quiet) await view.show(event);
    await printer?.show(event);
    if (desk !== undefined) desk.take(event);
    else if (event.type === 'permission.requested') await tellHowToAnswer(event);
  };
  try {
    const onReconnect = (): void => void (quiet || view.cutOff());
    return await client.send({ ...request, onEvent, onReconnect, signal: cancel.signal });
  } finally {
    await view.end();
  }
}

/** The agent's messages on stdout, with an empty line between them: together they are the reply. */
class MessagePrinter {
  #isFirst = true;

  async show(event: AgentEvent): Promise<void> {
    if (event.type !== 'message.completed') return;
    const text = event.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
    if (text === '') return;
    await stdout.writeForeign(`${this.#isFirst ? '' : '\n'}${text}\n`);
    this.#isFirst = false;
  }
}

async function tellHowToAnswer(event: Extract<AgentEvent, { type: 'permission.requested' }>): Promise<void> {
  const { permissionId } = event;
  await stderr.write(`The agent asks for permission: ${subjectsOf(event).map(shownForApproval).join('  ')}\n`);
  await stderr.write(`  ${commandName()} permissions answer ${permissionId} --allow | --reject\n`);
}

function cancelOnInterrupt(cancel: AbortController): Disposable {
  const onSignal = (): void => interrupt(cancel);
  process.on('SIGINT', onSignal);
  return { [Symbol.dispose]: () => void process.off('SIGINT', onSignal) };
}

function interrupt(cancel: AbortController): void {
  if (cancel.signal.aborted) process.exit(exitCodes.interrupted);
  cancel.abort();
}
