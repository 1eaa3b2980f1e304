import { randomUUID } from 'node:crypto';
import type { ToolLayout } from './responses-request.ts';
import type { RunningCommand } from './tool-results.ts';

/** Something that the script wants done in the sandbox. */
export type ToolCall =
  | { readonly kind: 'command'; readonly command: string }
  /** `patch` is in the format of Codex's `apply_patch`, from `*** Begin Patch` to `*** End Patch`. */
  | { readonly kind: 'patch'; readonly patch: string }
  | { readonly kind: 'wait'; readonly running: RunningCommand };

/** A tool call as an output item of the Responses API. */
export type CallItem =
  | {
      readonly type: 'function_call';
      readonly id: string;
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    }
  | {
      readonly type: 'custom_tool_call';
      readonly id: string;
      readonly call_id: string;
      readonly name: string;
      readonly input: string;
    };

/** Longest time that one call waits for a command, in milliseconds; a longer command is waited for by further calls. */
const WAIT_MS = 30_000;

/** Writes a call in the caller's tool layout. Ids are new each time, as the real service makes them. */
export function callItem(call: ToolCall, layout: ToolLayout): CallItem {
  switch (call.kind) {
    case 'wait':
      return call.running.kind === 'session'
        ? functionCall('write_stdin', { session_id: call.running.sessionId, chars: '', yield_time_ms: WAIT_MS })
        : functionCall('wait', { cell_id: call.running.cellId, yield_time_ms: WAIT_MS });
    case 'command':
      return layout.kind === 'code'
        ? customCall('exec', commandScript(call.command))
        : functionCall('exec_command', { cmd: call.command, yield_time_ms: WAIT_MS });
    case 'patch':
      if (layout.kind === 'code') return customCall('exec', patchScript(call.patch));
      return layout.kind === 'classic' && layout.canPatch
        ? customCall('apply_patch', call.patch)
        : functionCall('exec_command', { cmd: `apply_patch <<'PATCH'\n${call.patch}\nPATCH` });
  }
}

function commandScript(command: string): string {
  return [
    `let result = await tools.exec_command(${JSON.stringify({ cmd: command, yield_time_ms: WAIT_MS })});`,
    'let output = result.output;',
    'while (result.exit_code === undefined && result.session_id !== undefined) {',
    `  result = await tools.write_stdin({ session_id: result.session_id, chars: "", yield_time_ms: ${WAIT_MS} });`,
    '  output += result.output;',
    '}',
    'text("exit code " + result.exit_code + "\\n" + output);',
  ].join('\n');
}

function patchScript(patch: string): string {
  return `await tools.apply_patch(${JSON.stringify(patch)});\ntext("exit code 0\\n");`;
}

function functionCall(name: string, args: Readonly<Record<string, string | number>>): CallItem {
  return { type: 'function_call', id: newId('fc'), call_id: newId('call'), name, arguments: JSON.stringify(args) };
}

function customCall(name: string, input: string): CallItem {
  return { type: 'custom_tool_call', id: newId('ctc'), call_id: newId('call'), name, input };
}

/** An id in the service's manner: `prefix_` and 32 hexadecimal digits. */
export function newId(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll('-', '')}`;
}
