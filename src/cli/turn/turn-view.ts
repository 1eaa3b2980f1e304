import type { AgentEvent } from '../../client/index.ts';
import type { Sink } from '../output/sink.ts';
import { oneLine, printable } from '../output/printable.ts';
import { ToolLines } from './tool-lines.ts';

type Block = 'message' | 'thought' | 'tools' | 'note';

export interface TurnViewOptions {
  /** `live`: what the agent says, as it comes. `none`: only what it does. */
  readonly speech: 'live' | 'none';
  /** Whether the harness had a session for this conversation before the turn, which it then should take up again. */
  readonly hadSession: boolean;
}

/**
 * Shows a turn to a person while it goes on. What was said stays on the screen, so a discarded attempt is followed by a
 * line that says so. Give it the events in order, and `end` it before anything else is written.
 */
export class TurnView {
  readonly #sink: Sink;
  readonly #options: TurnViewOptions;
  readonly #tools: ToolLines;
  #block: Block | undefined;
  #atLineStart = true;
  #isCutOff = false;
  /** Characters shown of each message that has not ended; a turn has one or two at a time. */
  readonly #shown = new Map<string, number>();

  constructor(sink: Sink, options: TurnViewOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#tools = new ToolLines(sink.style);
  }

  async show(event: AgentEvent): Promise<void> {
    this.#isCutOff = false;
    switch (event.type) {
      case 'message.delta':
        await this.#speak(event.messageId, event.delta);
        return;
      case 'message.completed':
        await this.#complete(event);
        return;
      case 'message.discarded':
        if (this.#shown.delete(event.messageId)) await this.note(discardNotes[event.reason]);
        return;
      case 'thought.delta':
        if (this.#options.speech === 'live')
          await this.#write('thought', this.#sink.style('dim', printable(event.delta)));
        return;
      case 'tool.started':
        await this.#write('tools', this.#tools.started(event));
        return;
      case 'tool.updated':
        await this.#write('tools', this.#tools.updated(event));
        return;
      case 'tool.completed':
        await this.#write('tools', this.#tools.completed(event));
        return;
      case 'plan.updated':
        await this.#write('tools', this.#plan(event.entries));
        return;
      case 'sandbox.status':
        if (event.state === 'starting') await this.note('the sandbox is starting');
        if (event.state === 'failed')
          await this.note(`the sandbox could not start: ${event.message ?? 'no reason given'}`);
        return;
      case 'session.opened':
        if (event.how === 'new' && this.#options.hadSession) {
          await this.note('the agent could not take up the earlier session: it has forgotten what was said before');
        }
        return;
      case 'run.queued':
        if (event.ahead > 0) await this.note(`waiting behind ${event.ahead === 1 ? 'one run' : `${event.ahead} runs`}`);
        return;
      case 'run.cancel_requested':
        await this.note('canceling');
        return;
      default: // what the caller shows itself (permissions, the end), and what says nothing to a person
    }
  }

  /** Says so once when the control plane is away, until events come again. */
  async cutOff(): Promise<void> {
    if (this.#isCutOff) return;
    this.#isCutOff = true;
    await this.note('the connection is lost; the turn goes on, and is shown when it is back');
  }

  /** A line about the turn, not of it. */
  async note(text: string): Promise<void> {
    await this.#write('note', `${this.#sink.style('dim', `(${oneLine(text)})`)}\n`);
  }

  /** Leaves the cursor at the start of a line. */
  async end(): Promise<void> {
    if (!this.#atLineStart) await this.#sink.write('\n');
    this.#atLineStart = true;
  }

  async #speak(messageId: string, text: string): Promise<void> {
    if (this.#options.speech === 'none' || text === '') return;
    if (!this.#shown.has(messageId) && this.#block === 'message') this.#block = undefined; // its own paragraph
    this.#shown.set(messageId, (this.#shown.get(messageId) ?? 0) + text.length);
    await this.#write('message', text);
  }

  /** Shows what of the whole message was not seen as deltas. */
  async #complete({ messageId, content }: Extract<AgentEvent, { type: 'message.completed' }>): Promise<void> {
    const text = content.map((block) => (block.type === 'text' ? block.text : '[content that is not text]')).join('');
    await this.#speak(messageId, text.slice(this.#shown.get(messageId) ?? 0));
    this.#shown.delete(messageId);
  }

  #plan(entries: Extract<AgentEvent, { type: 'plan.updated' }>['entries']): string {
    const marks: Readonly<Record<string, string>> = { completed: 'x', in_progress: '>', pending: ' ' };
    const lines = entries.map(({ content, status }) => `        [${marks[status] ?? ' '}] ${oneLine(content)}\n`);
    return `  ${this.#sink.style('cyan', 'plan ')}\n${lines.join('')}`;
  }

  /** Blocks of different kinds stand apart by an empty line. */
  async #write(block: Block, text: string): Promise<void> {
    if (text === '') return;
    let before = '';
    if (this.#block !== block) {
      if (!this.#atLineStart) before += '\n';
      if (this.#block !== undefined || this.#options.speech === 'live') before += '\n';
    }
    this.#block = block;
    this.#atLineStart = text.endsWith('\n');
    if (before !== '') await this.#sink.write(before);
    if (block === 'message') await this.#sink.writeForeign(text);
    else await this.#sink.write(text);
  }
}

const discardNotes = {
  model_retry: 'the text above was thrown away: the model broke off and is asked again',
  turn_ended: 'the text above was never finished',
} as const;
