import type { AgentEvent } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { Sink } from '../output/sink.ts';
import {
  answersOf,
  chosenOption,
  howToAnswer,
  isShownWhole,
  questionText,
  type Question,
} from './permission-question.ts';
import { commandName } from '../command-name.ts';
import type { TerminalInput } from './terminal-input.ts';

/** What of a client answers a question. */
interface Answering {
  readonly permissions: {
    readonly respond: { mutate(answer: { permissionId: string; optionId: string }): Promise<unknown> };
  };
}

/**
 * Asks a person what an agent asks, one question at a time, while the turn goes on being followed. A question that is
 * answered elsewhere or expires is taken back. No answer at all (Ctrl-D) leaves it open for others, and says how it is
 * answered then. Nothing is allowed here that was not shown whole.
 */
export class PermissionDesk implements AsyncDisposable {
  readonly #client: Answering;
  readonly #sink: Sink;
  readonly #input: TerminalInput;
  readonly #open = new Map<string, AbortController>();
  #asking: Promise<void> = Promise.resolve();

  constructor(options: { readonly client: Answering; readonly sink: Sink; readonly input: TerminalInput }) {
    this.#client = options.client;
    this.#sink = options.sink;
    this.#input = options.input;
  }

  /** Call it with the events of the turn. It does not wait for the person: the end of the question is an event too. */
  take(event: AgentEvent): void {
    if (event.type === 'permission.requested') this.ask(event.permissionId, event);
    if (event.type === 'permission.resolved') this.#open.get(event.permissionId)?.abort();
  }

  ask(permissionId: string, question: Question): void {
    const controller = new AbortController();
    this.#open.set(permissionId, controller);
    this.#asking = this.#asking.then(() => this.#ask(permissionId, question, controller.signal));
    this.#asking.catch(() => undefined); // disposing rejects with it
  }

  /** Takes back what is open, and resolves when nothing is shown any more. Rejects with what went wrong while asking. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const controller of this.#open.values()) controller.abort();
    await this.#asking;
  }

  async #ask(permissionId: string, question: Question, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await this.#sink.write(`\n${questionText(question, this.#sink.style, Date.now())}`);
    const optionId = await this.#choose(permissionId, question, signal);
    this.#open.delete(permissionId);
    if (optionId === undefined) {
      const note = signal.aborted ? '\n(the question is over)' : leftOpen(permissionId);
      await this.#sink.write(`${this.#sink.style('dim', note)}\n`);
      return;
    }
    try {
      await this.#client.permissions.respond.mutate({ permissionId, optionId });
    } catch (thrown) {
      if (!(thrown instanceof CaissonError)) throw thrown;
      await this.#sink.write(`${this.#sink.style('yellow', thrown.message)}\n`);
    }
  }

  async #choose(permissionId: string, question: Question, signal: AbortSignal): Promise<string | undefined> {
    for (;;) {
      const line = await this.#input.readAnswer(`${this.#sink.style('bold', answersOf(question))} > `, signal);
      if (line === undefined) return undefined;
      const option = chosenOption(line, question);
      if (option === undefined) {
        await this.#sink.write(`${this.#sink.style('dim', howToAnswer(question))}\n`);
      } else if (option.kind.startsWith('allow') && !isShownWhole(question)) {
        await this.#sink.write(`${this.#sink.style('yellow', tooLongToAllow(permissionId))}\n`);
      } else {
        return option.optionId;
      }
    }
  }
}

function tooLongToAllow(permissionId: string): string {
  return (
    `This is too long to be shown whole, so it is not allowed here. Read it with \`${commandName()} permissions list --json\`,\n` +
    `then allow it with \`${commandName()} permissions answer ${permissionId} --allow\`. It can be rejected here.`
  );
}

function leftOpen(permissionId: string): string {
  return `left open; \`${commandName()} permissions answer ${permissionId} --allow|--reject\` answers it`;
}
