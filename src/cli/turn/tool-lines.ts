import type { AgentEvent } from '../../client/index.ts';
import { oneLine } from '../output/printable.ts';
import type { Style } from '../output/style.ts';
import { diffSize } from './diff-size.ts';

type Event<Type extends AgentEvent['type']> = Extract<AgentEvent, { type: Type }>;
type ToolContent = Event<'tool.started'>['content'][number];

/** Output lines that are shown of one tool call; the rest is counted. */
const shownLines = 10;
/** Longest line that is kept while it waits for its end. */
const longestLine = 4_096;
/** Calls whose output is followed at the same time; a harness that leaves more unfinished loses the oldest. */
const followedCalls = 100;
const indent = ' '.repeat(8);

/** What a person sees of tool calls: the call on one line, the beginning of its output under it, a bad end in red. */
export class ToolLines {
  readonly #style: Style;
  readonly #calls = new Map<string, Call>();

  constructor(style: Style) {
    this.#style = style;
  }

  started(event: Event<'tool.started'>): string {
    const diffs = diffsOf(event.content);
    this.#calls.set(event.toolCallId, { shown: [], seen: [], hidden: 0, partial: '', diffs: diffs.length > 0 });
    const oldest = this.#calls.keys().next();
    if (this.#calls.size > followedCalls && oldest.done !== true) this.#calls.delete(oldest.value);
    if (diffs.length > 0) return this.#edits(diffs);
    return this.#line(verbOf(event.kind), subjectOf(event));
  }

  updated(event: Event<'tool.updated'>): string {
    if (event.replacesOutput === true) this.#beginAnew(event.toolCallId);
    return (
      this.#edits(this.#newDiffs(event.toolCallId, event.content ?? [])) +
      this.#output(event.toolCallId, event.output ?? '')
    );
  }

  completed(event: Event<'tool.completed'>): string {
    const { toolCallId, status, exitCode, replacesOutput } = event;
    if (replacesOutput === true) this.#beginAnew(toolCallId);
    const text = event.content.flatMap((item) => (item.type === 'text' ? [item.text] : [])).join('\n');
    const output = event.output ?? (this.#calls.get(toolCallId)?.shown.length === 0 ? text : '');
    let lines = this.#edits(this.#newDiffs(toolCallId, event.content)) + this.#output(toolCallId, output, true);
    this.#calls.delete(toolCallId);
    if (exitCode !== null && exitCode !== 0) lines += `${indent}${this.#style('red', `exit ${exitCode}`)}\n`;
    else if (status === 'failed') lines += `${indent}${this.#style('red', 'failed')}\n`;
    else if (status === 'canceled') lines += `${indent}${this.#style('yellow', 'canceled')}\n`;
    return lines;
  }

  #line(verb: string, subject: string): string {
    return `  ${this.#style('cyan', verb.padEnd(5))} ${oneLine(subject)}\n`;
  }

  #newDiffs(toolCallId: string, content: readonly ToolContent[]): Diff[] {
    const call = this.#calls.get(toolCallId);
    const diffs = call?.diffs === true ? [] : diffsOf(content);
    if (call !== undefined && diffs.length > 0) call.diffs = true;
    return diffs;
  }

  #edits(diffs: readonly Diff[]): string {
    const lines = diffs.map(({ path, oldText, newText }) => {
      const { added, removed } = diffSize(oldText, newText);
      const size = `${this.#style('green', `+${added}`)} ${this.#style('red', `-${removed}`)}`;
      return `  ${this.#style('cyan', oldText === null ? 'new  ' : 'edit ')} ${oneLine(inWorkspace(path))}  ${size}\n`;
    });
    return lines.join('');
  }

  /** What follows is the output from its beginning on; what of it is on the screen already is not shown again. */
  #beginAnew(toolCallId: string): void {
    const call = this.#calls.get(toolCallId);
    if (call === undefined) return;
    Object.assign(call, { seen: call.shown, shown: [], hidden: 0, partial: '' });
  }

  #output(toolCallId: string, text: string, last = false): string {
    const call = this.#calls.get(toolCallId);
    if (call === undefined) return '';
    const ended = (call.partial + text).split('\n');
    call.partial = (ended.pop() ?? '').slice(0, longestLine);
    if (last && call.partial !== '') ended.push(call.partial);
    const more = ended.slice(0, Math.max(0, shownLines - call.shown.length)).map((line) => oneLine(line));
    call.hidden += ended.length - more.length;
    let out = '';
    for (const line of more) {
      const index = call.shown.push(line) - 1;
      const seen = call.seen[index];
      if (seen === line) continue;
      const lines = seen === undefined ? [line] : [wholeOutputFollows, ...call.shown];
      if (seen !== undefined) call.seen = [];
      out += lines.map((each) => this.#dim(each)).join('');
    }
    if (last && call.hidden > 0) out += this.#dim(`… ${call.hidden} more lines`);
    return out;
  }

  #dim(line: string): string {
    return `${indent}${this.#style('dim', line)}`.trimEnd() + '\n';
  }
}

/** Above an output that is shown again, because the one above it had gaps. */
const wholeOutputFollows = '(parts are missing above; the whole output:)';

interface Call {
  /** The lines of the output that are shown, at most `shownLines`. */
  shown: string[];
  /** Lines that are on the screen from before the output began anew, as long as they are its first ones. */
  seen: string[];
  hidden: number;
  /** Output after the last line feed. */
  partial: string;
  /** Whether its changes were shown. */
  diffs: boolean;
}

type Diff = Extract<ToolContent, { type: 'diff' }>;

function diffsOf(content: readonly ToolContent[]): Diff[] {
  return content.filter((item) => item.type === 'diff');
}

const verbs: ReadonlyMap<string, string> = new Map([
  ['execute', 'run'],
  ['other', 'tool'],
  ['switch_mode', 'mode'],
  ['search', 'find'],
]);

/** What a kind of tool call is called in a narrow column. Kinds are a harness's own words: any text at all. */
export function verbOf(kind: string): string {
  return verbs.get(kind) ?? oneLine(kind, 20);
}

/** The file, where a call is about one and no command says more; else its title. */
function subjectOf({ kind, title, locations }: Event<'tool.started'>): string {
  const [only] = locations;
  const aboutFile = kind === 'read' || kind === 'delete' || kind === 'edit';
  return aboutFile && only !== undefined && locations.length === 1 ? inWorkspace(only) : title;
}

function inWorkspace(path: string): string {
  return path.startsWith('/workspace/') ? path.slice('/workspace/'.length) : path;
}
