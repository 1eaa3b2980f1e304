/** Names a command that outlived the call that started it, for the call that waits on for it. */
export type RunningCommand =
  { readonly kind: 'session'; readonly sessionId: number } | { readonly kind: 'cell'; readonly cellId: string };

/** What came of one tool call, with the output of the calls that waited on for it. */
export interface ToolResult {
  /** Null when no exit code was reported: the call was refused, or the command is still running. */
  readonly exitCode: number | null;
  readonly output: string;
  readonly running: RunningCommand | null;
  /** How many calls have waited on for it. */
  readonly waits: number;
}

/**
 * Reads the outputs of tool calls, oldest first, each given as its text parts. An output that follows one of a command
 * still running is its continuation, since the script waits for a command before it does anything else.
 */
export function foldToolResults(outputs: readonly (readonly string[])[]): readonly ToolResult[] {
  const results: ToolResult[] = [];
  for (const parts of outputs) {
    const next = parseOutput(parts);
    const last = results.at(-1);
    if (last === undefined || last.running === null) {
      results.push(next);
    } else {
      results[results.length - 1] = { ...next, output: last.output + next.output, waits: last.waits + 1 };
    }
  }
  return results;
}

function parseOutput(parts: readonly string[]): ToolResult {
  const [head = '', ...rest] = parts;
  if (/^Script (?:completed|running|failed)/.test(head)) return parseCell(head, rest.join(''));
  const exited = /^(?:Process exited with code|Exit code:) (-?\d+)$/m.exec(headerOf(head));
  const running = /^Process running with session ID (\d+)$/m.exec(headerOf(head));
  const output = bodyOf(head) + rest.join('');
  // A patch given to exec_command is applied by Codex itself, and its report stands inside the command's.
  if (exited === null && running === null && output !== head && output.startsWith('Exit code: ')) {
    return parseOutput([output]);
  }
  return {
    exitCode: exited?.[1] === undefined ? null : Number(exited[1]),
    output,
    running: running?.[1] === undefined ? null : { kind: 'session', sessionId: Number(running[1]) },
    waits: 0,
  };
}

/** Code mode: the text parts after the header are what the JavaScript passed to `text()`, see tool-calls.ts. */
function parseCell(head: string, printed: string): ToolResult {
  const cell = /cell ID (\S+)/.exec(headerOf(head))?.[1];
  const running: RunningCommand | null =
    head.startsWith('Script running') && cell !== undefined ? { kind: 'cell', cellId: cell } : null;
  const reported = /^exit code (-?\d+)\n/.exec(printed);
  if (reported === null) return { exitCode: null, output: bodyOf(head) + printed, running, waits: 0 };
  return { exitCode: Number(reported[1]), output: printed.slice(reported[0].length), running, waits: 0 };
}

const BODY_MARK = '\nOutput:\n';

function headerOf(text: string): string {
  const mark = text.indexOf(BODY_MARK);
  return mark < 0 ? '' : text.slice(0, mark);
}

function bodyOf(text: string): string {
  const mark = text.indexOf(BODY_MARK);
  return mark < 0 ? text : text.slice(mark + BODY_MARK.length);
}
