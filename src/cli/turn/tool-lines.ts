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
    this.#calls.set(event.toolCallId, { shown: 0, hidden: 0, partial: '', diffs: diffs.length > 0 });
    const oldest = this.#calls.keys().next();
    if (this.#calls.size > followedCalls && oldest.done !== true) this.#calls.delete(oldest.value);
    if (diffs.length > 0) return this.#edits(diffs);
    return this.#line(verbOf(event.kind), subjectOf(event));
  }

  updated(event: Event<'tool.updated'>): string {
    return (
      this.#edits(this.#newDiffs(event.toolCallId, event.content ?? [])) +
      this.#output(event.toolCallId, event.output ?? '')
    );
  }

  completed(event: Event<'tool.completed'>): string {
    const { toolCallId, status, exitCode } = event;
    const text = event.content.flatMap((item) => (item.type === 'text' ? [item.text] : [])).join('\n');
    const output = event.output ?? (this.#calls.get(toolCallId)?.shown === 0 ? text : '');
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

  #output(toolCallId: string, text: string, last = false): string {
    const call = this.#calls.get(toolCallId);
    if (call === undefined) return '';
    const lines = (call.partial + text).split('\n');
    call.partial = (lines.pop() ?? '').slice(0, longestLine);
    if (last && call.partial !== '') lines.push(call.partial);
    const shown = lines.slice(0, Math.max(0, shownLines - call.shown));
    call.shown += shown.length;
    call.hidden += lines.length - shown.length;
    let out = shown.map((line) => `${indent}${this.#style('dim', oneLine(line))}`.trimEnd() + '\n').join('');
    if (last && call.hidden > 0) out += `${indent}${this.#style('dim', `… ${call.hidden} more lines`)}\n`;
    return out;
  }
}

interface Call {
  shown: number;
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
