import type { ToolResult } from './tool-results.ts';
import { act, answer, type Step } from './step.ts';
import type { ToolCall } from './tool-calls.ts';

/** Decides a turn's next step from what its earlier steps gave. Pure: the same results give the same step. */
export type Plan = (results: readonly ToolResult[]) => Step;

export interface PlannedCall {
  readonly say?: string;
  readonly call: ToolCall;
}

/** Does the calls one after another, then answers. A call that fails ends the turn with what it printed. */
export function sequence(calls: readonly PlannedCall[], answerOf: Plan): Plan {
  return (results) => {
    const next = calls[results.length];
    const failed = results.find((result) => result.exitCode !== 0);
    if (next === undefined) return answerOf(results);
    if (failed !== undefined) return answer(`That did not work. ${outcome('The command', failed)}`);
    return act(next.call, next.say);
  };
}

/** A command, then an answer that quotes its exit code and output. */
export function runAndReport(before: readonly PlannedCall[], command: string, say: string): Plan {
  return sequence([...before, { say, call: { kind: 'command', command } }], (results) => {
    const last = results.at(-1);
    return answer(last === undefined ? '' : outcome(`\`${command}\``, last));
  });
}

/** Longest quotation of a command's output, in characters; of a longer one the end is quoted. */
const LONGEST_QUOTE = 8_000;

/** Says how a command ended and quotes what it printed. */
export function outcome(what: string, result: ToolResult): string {
  const ended = result.exitCode === null ? 'did not run to its end' : `exited with code ${result.exitCode}`;
  const output = result.output.replace(/\n$/, '');
  if (output === '') return `${what} ${ended} and printed nothing.`;
  const cut = output.length > LONGEST_QUOTE;
  const quoted = cut ? output.slice(-LONGEST_QUOTE) : output;
  const fence = '`'.repeat(Math.max(3, longestRunOfBackticks(quoted) + 1));
  return `${what} ${ended} and printed${cut ? ', at the end' : ''}:\n\n${fence}\n${quoted}\n${fence}`;
}

function longestRunOfBackticks(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
