import type { HarnessEvent, PermissionOutcome, ToolContent } from '../../wire/contract/harness-event.ts';
import { StreamedOutput } from './streamed-output.ts';
import { exitCodeOf, outputOf, toolContent, wholeOutputOf } from './tool-content.ts';
import type { AcpToolCall } from './updates.ts';

/** Most tool calls that may be open in one session; the oldest is then closed as failed. */
const mostOpen = 1_000;
/** Ended tool calls that are remembered, so that a late update of one is not taken for a new call. */
const mostEnded = 1_000;

interface OpenTool {
  title: string;
  kind: string;
  content: ToolContent[];
  exitCode: number | null;
  readonly streamed: StreamedOutput;
}

/** What the end of a call brings of a command's output. */
type LastOutput = Pick<Extract<HarnessEvent, { type: 'tool.completed' }>, 'output' | 'replacesOutput'>;

/** The tool calls of one session: each gets one `tool.started` and exactly one `tool.completed`. */
export class ToolCallProjection {
  readonly #open = new Map<string, OpenTool>();
  readonly #ended = new Set<string>();
  /** Calls that were asked for and not allowed. */
  readonly #refused = new Set<string>();
  /** The turn is being stopped: what fails now was ended by that. */
  isStopping = false;

  get openCount(): number {
    return this.#open.size;
  }

  /** What is known of an open call, for a permission request that does not repeat it. */
  known(toolCallId: string): { readonly title: string; readonly kind: string } | undefined {
    return this.#open.get(toolCallId);
  }

  /**
   * `tool_call` and `tool_call_update` alike: the first word of a call starts it. Null for a late word about a call that
   * has ended, and for one that says nothing that Caisson has a word for.
   */
  update(call: AcpToolCall): HarnessEvent[] | null {
    const tool = this.#open.get(call.toolCallId);
    if (tool !== undefined) return this.#continue(call, tool);
    if (this.#ended.has(call.toolCallId)) return null;
    return this.#start(call);
  }

  /** How a permission request of a call ended. One that was not allowed never ran, and ends as canceled. */
  permissionEnded(toolCallId: string, outcome: PermissionOutcome): void {
    this.#refused.delete(toolCallId);
    if (outcome === 'allowed' || this.#ended.has(toolCallId)) return;
    this.#refused.add(toolCallId);
    forgetOldest(this.#refused, mostOpen);
  }

  /** Closes every open call, oldest first. */
  endAll(status: 'completed' | 'failed' | 'canceled'): HarnessEvent[] {
    return [...this.#open].map(([toolCallId, tool]) => this.#end(toolCallId, tool, status, {}));
  }

  #start(call: AcpToolCall): HarnessEvent[] {
    const tool: OpenTool = {
      title: call.title ?? 'Tool call',
      kind: call.kind ?? 'other',
      content: toolContent(call.content ?? []),
      exitCode: exitCodeOf(call) ?? null,
      streamed: new StreamedOutput(),
    };
    const events: HarnessEvent[] = [];
    const [oldest] = this.#open;
    if (oldest !== undefined && this.#open.size >= mostOpen) events.push(this.#end(...oldest, 'failed', {}));
    this.#open.set(call.toolCallId, tool);
    events.push({
      type: 'tool.started',
      toolCallId: call.toolCallId,
      title: tool.title,
      kind: tool.kind,
      ...(call.rawInput === undefined ? {} : { input: call.rawInput }),
      locations: (call.locations ?? []).map((location) => location.path),
      content: tool.content,
    });
    const output = outputOf(call);
    if (call.status === 'completed' || call.status === 'failed') {
      events.push(this.#end(call.toolCallId, tool, call.status, lastOutput(call, tool)));
    } else if (output !== undefined) {
      tool.streamed.add(output);
      events.push({ type: 'tool.updated', toolCallId: call.toolCallId, output });
    }
    return events;
  }

  #continue(call: AcpToolCall, tool: OpenTool): HarnessEvent[] | null {
    const { toolCallId } = call;
    const output = outputOf(call);
    const title = call.title != null && call.title !== tool.title ? call.title : undefined;
    tool.title = title ?? tool.title;
    tool.kind = call.kind ?? tool.kind;
    tool.exitCode = exitCodeOf(call) ?? tool.exitCode;
    const content = call.content == null ? undefined : toolContent(call.content);
    tool.content = content ?? tool.content;
    if (call.status === 'completed' || call.status === 'failed') {
      if (
        tool.content.length === 0 &&
        output === undefined &&
        exitCodeOf(call) === undefined &&
        call.rawOutput != null
      ) {
        tool.content = [{ type: 'other', block: { rawOutput: call.rawOutput } }];
      }
      return [this.#end(toolCallId, tool, call.status, lastOutput(call, tool))];
    }
    if (output !== undefined) tool.streamed.add(output);
    if (title === undefined && output === undefined && content === undefined) return null;
    return [
      {
        type: 'tool.updated',
        toolCallId,
        ...(title === undefined ? {} : { title }),
        ...(output === undefined ? {} : { output }),
        ...(content === undefined ? {} : { content }),
      },
    ];
  }

  #end(
    toolCallId: string,
    tool: OpenTool,
    status: 'completed' | 'failed' | 'canceled',
    output: LastOutput,
  ): HarnessEvent {
    const neverRan = this.#refused.delete(toolCallId) && tool.exitCode === null;
    this.#open.delete(toolCallId);
    this.#ended.add(toolCallId);
    forgetOldest(this.#ended, mostEnded);
    return {
      type: 'tool.completed',
      toolCallId,
      status: neverRan || (this.isStopping && status === 'failed') ? 'canceled' : status,
      exitCode: tool.exitCode,
      ...output,
      content: tool.content,
    };
  }
}

/** The rest of the output, or all of it where what was streamed is not what the command printed. */
function lastOutput(call: AcpToolCall, { streamed }: OpenTool): LastOutput {
  const output = outputOf(call);
  const whole = wholeOutputOf(call);
  if (whole !== undefined && output !== undefined) streamed.add(output);
  if (whole !== undefined && streamed.isCorrectedBy(whole)) return { output: whole, replacesOutput: true };
  return output === undefined ? {} : { output };
}

function forgetOldest(ids: Set<string>, most: number): void {
  const [oldest] = ids;
  if (oldest !== undefined && ids.size > most) ids.delete(oldest);
}
