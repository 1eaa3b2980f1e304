import {
  messageText,
  type Agent,
  type CaissonClient,
  type Conversation,
  type FollowOptions,
  type Permission,
  type Turn,
} from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { advice, commandName } from '../command-name.ts';
import { exitCodes } from '../exit-codes.ts';
import { oneLine, printable } from '../output/printable.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stdout } from '../output/sink.ts';
import { openInput } from './open-input.ts';
import { PermissionDesk } from './permission-desk.ts';
import { printRunEnd } from './run-end-text.ts';
import type { TerminalInput } from './terminal-input.ts';
import { TurnView } from './turn-view.ts';

interface ChatOptions {
  readonly client: CaissonClient;
  readonly agent: Agent;
  readonly conversation: Conversation;
}

/**
 * A talk at a terminal: a prompt, a turn, a prompt, until the input ends. Ctrl-D in a turn leaves it to go on, Ctrl-C cancels
 * it, and once more ends the process without waiting. Everything is shown on stdout.
 */
export class ChatSession {
  readonly #client: CaissonClient;
  readonly #agent: Agent;
  readonly #conversation: Conversation;
  #hadSession: boolean;

  constructor({ client, agent, conversation }: ChatOptions) {
    this.#client = client;
    this.#agent = agent;
    this.#conversation = conversation;
    this.#hadSession = conversation.sessionId !== null;
  }

  /** Says whether a turn was left that goes on: then it is still being followed. */
  async run(): Promise<{ readonly hasLeftTurn: boolean }> {
    await this.#greet();
    using input = await openInput(stdout, process.stdout);
    if (await this.#takeUp(input)) return { hasLeftTurn: true };
    for (;;) {
      await stdout.write('\n');
      const text = await input.readMessage();
      if (text === undefined) break;
      if (text.trim() === '') continue;
      const hasLeft = await this.#turn(input, (turn) =>
        this.#client.send({ agentId: this.#agent.id, conversationId: this.#conversation.id, text, ...turn }),
      );
      if (hasLeft) return { hasLeftTurn: true };
    }
    await stdout.write('\n');
    return { hasLeftTurn: false };
  }

  async #greet(): Promise<void> {
    const { model, harnesses } = await this.#client.system.version.query();
    const { name, harness } = this.#agent;
    const modelName = model.demo
      ? 'the demo model (it follows a script; ask it for help)'
      : (this.#agent.model ?? model.name);
    const offered = harnesses.includes(harness) ? '' : ' (no longer offered here)';
    await stdout.write(`${stdout.style('bold', name)}  ${stdout.style('dim', `${harness}${offered}, ${modelName}`)}\n`);
    await stdout.write(`${stdout.style('dim', 'Ctrl-C cancels a turn, Ctrl-D leaves.')}\n`);
    await this.#recall();
  }

  /** The last thing that was asked, and answered or how it failed, so that one knows where one is. Of a long turn the end alone. */
  async #recall(): Promise<void> {
    const { id: conversationId, agentId } = this.#conversation;
    const { items } = await this.#client.agents.history.query({ agentId, conversationId, limit: 20 });
    const asked = items.findLastIndex(({ role }) => role === 'user');
    const shown = asked === -1 ? items.slice(-1) : items.slice(asked);
    const [first] = shown;
    if (first === undefined) return;
    await stdout.write(`\n${stdout.style('dim', relativeTime(first.createdAt, Date.now()))}\n`);
    for (const message of shown) {
      const text = messageText(message);
      await stdout.write(message.role === 'user' ? `${prompt()}${oneLine(text)}\n` : `\n${printable(text)}\n`);
    }
    if (first.runId !== null) await printRunEnd(await this.#client.runs.get.query({ runId: first.runId }));
    if (asked !== -1) return;
    const note = `(${commandName()} history ${this.#agent.name} shows all of it)`;
    await stdout.write(`\n${stdout.style('dim', note)}\n`);
  }

  /** A run that is under way here, from an earlier sitting or another client, is followed first. */
  async #takeUp(input: TerminalInput): Promise<boolean> {
    const { activeRuns, pendingPermissions, seq } = await this.#client.agents.status.query({ agentId: this.#agent.id });
    for (const run of activeRuns) {
      if (run.conversationId !== this.#conversation.id) continue;
      await stdout.write(`\n${stdout.style('dim', '(a turn is under way)')}\n`);
      const pending = pendingPermissions.filter(({ runId }) => runId === run.id);
      const follow: StartTurn = ({ onAccepted, ...turn }) => {
        onAccepted();
        return this.#client.follow({ runId: run.id, after: seq, ...turn });
      };
      if (await this.#turn(input, follow, pending)) return true;
    }
    return false;
  }

  /** Whether the person left it. */
  async #turn(input: TerminalInput, start: StartTurn, pending: readonly Permission[] = []): Promise<boolean> {
    const view = new TurnView(stdout, { speech: 'live', hadSession: this.#hadSession });
    this.#hadSession = true;
    try {
      const turn = await this.#follow(input, view, start, pending);
      await view.end();
      if ('left' in turn) {
        await stdout.write(`\n${stdout.style('dim', turn.left)}\n`);
        return true;
      }
      await printRunEnd(turn.run);
    } catch (thrown) {
      await view.end();
      if (!isPassing(thrown)) throw thrown;
      const { message, hint } = thrown;
      await stdout.write(
        `\n${stdout.style('red', printable(message))}\n${stdout.style('dim', printable(advice(hint)))}\n`,
      );
    }
    return false;
  }

  async #follow(
    input: TerminalInput,
    view: TurnView,
    start: StartTurn,
    pending: readonly Permission[],
  ): Promise<Turn | { readonly left: string }> {
    const cancel = new AbortController();
    let isAccepted = false;
    const { promise: left, resolve: leave } = Promise.withResolvers<{ readonly left: string }>();
    using _interrupt = input.onInterrupt(() => {
      if (cancel.signal.aborted) process.exit(exitCodes.interrupted);
      cancel.abort();
    });
    using _leave = input.onLeave(() => leave({ left: isAccepted ? this.#goesOn() : unconfirmed }));
    await using desk = new PermissionDesk({ client: this.#client, sink: stdout, input });
    for (const permission of pending) desk.ask(permission.id, permission);
    const turn = start({
      signal: cancel.signal,
      onAccepted() {
        isAccepted = true;
      },
      onReconnect: () => void view.cutOff(),
      async onEvent(event) {
        await view.show(event);
        desk.take(event);
      },
    });
    return await Promise.race([turn, left]);
  }

  #goesOn(): string {
    return `The turn goes on; \`${commandName()} chat ${this.#agent.name}\` takes it up again.`;
  }
}

const unconfirmed = 'The control plane has not confirmed the message yet.';

interface Following extends Pick<FollowOptions, 'onEvent' | 'onReconnect' | 'signal'> {
  readonly onAccepted: () => void;
}

type StartTurn = (following: Following) => Promise<Turn>;

/** Errors after which the talk can go on. */
function isPassing(thrown: unknown): thrown is CaissonError {
  const codes: readonly string[] = [
    'MESSAGE_TOO_LARGE',
    'QUEUE_FULL',
    'TOO_MANY_CONNECTIONS',
    'CONTROL_PLANE_UNREACHABLE',
    'DRAINING',
  ];
  return thrown instanceof CaissonError && codes.includes(thrown.code);
}

function prompt(): string {
  return `${stdout.style(['bold', 'green'], '>')} `;
}
