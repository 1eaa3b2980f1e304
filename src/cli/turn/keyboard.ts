import { createInterface, type Interface, type Key } from 'node:readline';
import { exitCodes } from '../exit-codes.ts';
import { printable } from '../output/printable.ts';
import type { Sink } from '../output/sink.ts';
import { MessageLines } from './message-lines.ts';
import { PromptScreen, type Terminal } from './prompt-screen.ts';
import { KeyCallbacks, type TerminalInput } from './terminal-input.ts';

/** Lines that can be called back with the up arrow. */
const historySize = 200;
/** Messages that are typed ahead; further ones are refused with a bell. */
const mostAhead = 100;
/** The terminal marks what is pasted, so that its line feeds are not taken for Enter. */
const markPastes = '\u001B[?2004h';
const leavePastesUnmarked = '\u001B[?2004l';

/** What waits for the person, with what it takes. */
type Waiting =
  | { readonly for: 'message'; readonly resolve: (text: string | undefined) => void }
  | { readonly for: 'answer'; readonly resolve: (text: string | undefined) => void; readonly draft: string };

interface KeyboardOptions {
  /** Where prompts go, like everything else that is shown. */
  readonly sink: Sink;
  /** The stream of `sink`. */
  readonly terminal: Terminal;
  /** Default: stdin. */
  readonly keys?: NodeJS.ReadableStream;
}

/**
 * A person at a terminal. One line editor takes every key. While nothing is asked it draws nothing, so that keys are not
 * echoed into what the agent says, and keeps what is typed for the next message; never for an answer, which is typed after
 * its question. Ctrl-C and Ctrl-D are heard all the time.
 */
export class Keyboard implements TerminalInput {
  readonly #sink: Sink;
  readonly #terminal: Terminal;
  readonly #keys: NodeJS.ReadableStream;
  readonly #screen: PromptScreen;
  readonly #interrupts = new KeyCallbacks();
  readonly #leavers = new KeyCallbacks();
  readonly #lines = new MessageLines();
  #ahead: string[] = [];
  #history: string[] = [];
  #waiting: Waiting | undefined;
  #inPaste = false;
  #hasEnded = false;
  #editor: Interface;

  constructor({ sink, terminal, keys = process.stdin }: KeyboardOptions) {
    this.#sink = sink;
    this.#terminal = terminal;
    this.#keys = keys;
    this.#screen = new PromptScreen(terminal);
    keys.on('end', this.#onEnd);
    keys.on('keypress', this.#onKey);
    process.on('exit', this.#onExit);
    terminal.write(markPastes);
    this.#editor = this.#edit();
  }

  async readMessage(): Promise<string | undefined> {
    const typed = this.#ahead.shift();
    if (typed !== undefined) {
      this.#terminal.write(this.#shown(typed.split('\n')));
      return typed;
    }
    if (this.#hasEnded) return undefined;
    const { soFar } = this.#lines;
    if (soFar.length > 0) this.#terminal.write(this.#shown(soFar));
    return await new Promise((resolve) => {
      this.#ask({ for: 'message', resolve }, this.#prompt(soFar.length === 0));
    });
  }

  async readAnswer(prompt: string, signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted || this.#hasEnded) return undefined;
    const draft = this.#editor.line;
    this.#type('');
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const onAbort = (): void => this.#settle(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#ask({ for: 'answer', resolve, draft }, prompt);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  onInterrupt(callback: () => void): Disposable {
    return this.#interrupts.add(callback);
  }

  onLeave(callback: () => void): Disposable {
    return this.#leavers.add(callback);
  }

  [Symbol.dispose](): void {
    this.#hasEnded = true; // so that the editor is not opened again
    this.#settle(undefined);
    this.#editor.close();
    this.#keys.off('end', this.#onEnd);
    this.#keys.off('keypress', this.#onKey);
    process.off('exit', this.#onExit);
    this.#onExit();
    this.#screen.destroy();
  }

  /** Ctrl-D closes an editor, so there is one after the other. */
  #edit(): Interface {
    const editor = createInterface({
      input: this.#keys,
      output: this.#screen,
      terminal: true,
      history: this.#history,
      historySize,
      removeHistoryDuplicates: true,
    });
    editor.on('line', (line) => this.#take(line));
    editor.on('SIGINT', () => this.#interrupt());
    editor.on('history', (history) => {
      if (this.#waiting?.for === 'answer') history.shift();
      this.#history = history;
    });
    editor.on('close', () => {
      if (this.#waiting !== undefined) this.#screen.write('\n');
      if (!this.#hasEnded) this.#editor = this.#edit();
      const hasMore = this.#waiting?.for === 'message' && this.#lines.soFar.length > 0;
      this.#settle(hasMore ? this.#lines.take() : undefined);
    });
    return editor;
  }

  #ask(waiting: Waiting, prompt: string): void {
    this.#waiting = waiting;
    this.#screen.isShown = true;
    this.#editor.setPrompt(prompt);
    this.#editor.prompt(true); // with what was typed so far
  }

  #settle(text: string | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#screen.isShown = false;
    if (waiting?.for === 'answer' && !this.#hasEnded) this.#type(waiting.draft);
    waiting?.resolve(text);
  }

  #take(line: string): void {
    if (this.#waiting?.for === 'answer') {
      this.#settle(this.#inPaste ? '' : line); // what is pasted here was meant for something else
      return;
    }
    const message = this.#lines.add(line, { inPaste: this.#inPaste });
    if (message === undefined) {
      this.#editor.setPrompt(this.#prompt(false));
      this.#editor.prompt();
    } else if (this.#waiting !== undefined) this.#settle(message);
    else if (this.#ahead.length < mostAhead) this.#ahead.push(message);
    else this.#terminal.write('\u0007');
  }

  /** Ctrl-C: for whoever waits for it; else it empties what is typed, and ends the process where nothing is asked. */
  #interrupt(): void {
    if (this.#interrupts.fire()) return;
    if (this.#waiting === undefined) process.exit(exitCodes.interrupted);
    const wasEmpty = this.#editor.line === '' && this.#lines.soFar.length === 0;
    this.#type('');
    this.#lines.take();
    const note = wasEmpty ? `\n${this.#sink.style('dim', '(Ctrl-D leaves)')}` : '';
    this.#screen.write(`${note}\n`);
    this.#editor.setPrompt(this.#prompt(true));
    this.#editor.prompt();
  }

  /** Replaces what stands in the editor. */
  #type(text: string): void {
    this.#editor.write(null, { ctrl: true, name: 'e' });
    this.#editor.write(null, { ctrl: true, name: 'u' });
    if (text !== '') this.#editor.write(text);
  }

  /** Lines that were typed ahead, as they would stand there had they been typed now. */
  #shown(lines: readonly string[]): string {
    return lines.map((line, i) => `${this.#prompt(i === 0)}${printable(line)}\n`).join('');
  }

  #prompt(isFirst: boolean): string {
    return isFirst ? `${this.#sink.style(['bold', 'green'], '>')} ` : `${this.#sink.style('dim', '.')} `;
  }

  readonly #onKey = (_text: string | undefined, key: Key): void => {
    if (key.name === 'paste-start') this.#inPaste = true;
    if (key.name === 'paste-end') this.#inPaste = false;
    if (key.name === 'd' && key.ctrl === true && this.#waiting === undefined) this.#leavers.fire();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
  };

  /** Also when the process ends in the middle. */
  readonly #onExit = (): void => void this.#terminal.write(leavePastesUnmarked);
}
