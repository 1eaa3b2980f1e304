import type { AgentEvent, CaissonClient } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { Sink } from '../output/sink.ts';
import { chosenOption, questionText, type Question } from './permission-question.ts';
import type { TerminalInput } from './terminal-input.ts';

/**
 * Asks a person what an agent asks, one question at a time, while the turn goes on being followed. A question that is
 * answered elsewhere or expires is taken back. No answer at all (Ctrl-D) leaves it open for others.
 */
export class PermissionDesk implements AsyncDisposable {
  readonly #client: CaissonClient;
  readonly #sink: Sink;
  readonly #input: TerminalInput;
  readonly #open = new Map<string, AbortController>();
  #asking: Promise<void> = Promise.resolve();

  constructor(options: { readonly client: CaissonClient; readonly sink: Sink; readonly input: TerminalInput }) {
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
    const optionId = await this.#choose(question, signal);
    this.#open.delete(permissionId);
    if (optionId === undefined) {
      if (signal.aborted) await this.#sink.write(`\n${this.#sink.style('dim', '(the question is over)')}\n`);
      return;
    }
    try {
      await this.#client.permissions.respond.mutate({ permissionId, optionId });
    } catch (thrown) {
      if (!(thrown instanceof CaissonError)) throw thrown;
      await this.#sink.write(`${this.#sink.style('yellow', thrown.message)}\n`);
    }
  }

  async #choose(question: Question, signal: AbortSignal): Promise<string | undefined> {
    for (;;) {
      const line = await this.#input.readLine(`${this.#sink.style('bold', 'answer')} > `, signal);
      if (line === undefined) return undefined;
      const optionId = chosenOption(line, question);
      if (optionId !== undefined) return optionId;
      await this.#sink.write(`${this.#sink.style('dim', `Type a number from 1 to ${question.options.length}.`)}\n`);
    }
  }
}
