import { parseModelRequest, type ModelRequest } from '../../../src/controlplane/demo-model/responses-request.ts';
import { demoScript } from '../../../src/controlplane/demo-model/script.ts';
import type { Reply, Step } from '../../../src/controlplane/demo-model/step.ts';

const surroundings = '<environment_context>\n  <cwd>/workspace</cwd>\n</environment_context>';

/** The input items that Codex sends in a turn with classic tools, up to the user's words. */
export function userInput(text: string): readonly object[] {
  return [
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'You are Codex.' }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: surroundings }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
  ];
}

export const classicTools = [
  { type: 'function', name: 'exec_command' },
  { type: 'function', name: 'write_stdin' },
  { type: 'custom', name: 'apply_patch' },
];

export const codeTools = {
  type: 'additional_tools',
  role: 'developer',
  tools: [{ type: 'namespace', name: 'functions' }],
};

/** What Codex reports of a command with classic tools. */
export function execOutput(exitCode: number, printed: string): object {
  const output = `Chunk ID: 140b05\nWall time: 0.0867 seconds\nProcess exited with code ${exitCode}\nOriginal token count: 1\nOutput:\n${printed}`;
  return { type: 'function_call_output', call_id: 'call_1', output };
}

export function stillRunning(sessionId: number, printed: string): object {
  const output = `Chunk ID: 14\nWall time: 30.0 seconds\nProcess running with session ID ${sessionId}\nOutput:\n${printed}`;
  return { type: 'function_call_output', call_id: 'call_1', output };
}

export function patchOutput(exitCode: number, printed: string): object {
  const output = `Exit code: ${exitCode}\nWall time: 0 seconds\nOutput:\n${printed}`;
  return { type: 'custom_tool_call_output', call_id: 'call_1', output };
}

/** A turn's request with classic tools: the user's words and the outputs of the calls made since. */
export function classicRequest(text: string, outputs: readonly object[] = []): ModelRequest {
  const input = [...userInput(text), ...outputs];
  return parseModelRequest({ model: 'gpt-5.5', stream: true, input, tools: classicTools }, 400);
}

/** The demo script's reply, which must not be a refusal. */
export function reply(request: ModelRequest): Reply {
  return asReply(demoScript(request));
}

function asReply(step: Step): Reply {
  if (step.kind !== 'reply') throw new Error(`Refused: ${step.error.message}`);
  return step;
}

export function textOf(step: Step): string {
  return [...(asReply(step).deltas ?? [])].join('');
}

export function commandOf(step: Step): string {
  const call = asReply(step).call;
  if (call?.kind !== 'command') throw new Error(`Not a command: ${JSON.stringify(call)}`);
  return call.command;
}

/** Runs a turn as Codex would: each call gets the output that `act` gives. */
export function runTurn(text: string, act: (step: Reply) => object, limit = 50): { calls: Reply[]; answer: string } {
  const outputs: object[] = [];
  const calls: Reply[] = [];
  for (let round = 0; round < limit; round++) {
    const step = reply(classicRequest(text, outputs));
    if (step.call === undefined) return { calls, answer: textOf(step) };
    calls.push(step);
    outputs.push(act(step));
  }
  throw new Error(`The turn has no end after ${limit} calls.`);
}
