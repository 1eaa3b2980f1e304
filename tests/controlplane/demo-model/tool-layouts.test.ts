import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { parseModelRequest } from '../../../src/controlplane/demo-model/responses-request.ts';
import { callItem } from '../../../src/controlplane/demo-model/tool-calls.ts';
import * as ask from './asking.ts';

describe('classic tools', () => {
  const layout = { kind: 'classic', canPatch: true } as const;

  test('a command is a call of exec_command', () => {
    const item = callItem({ kind: 'command', command: 'ls' }, layout);
    expect(item).toMatchObject({ type: 'function_call', name: 'exec_command' });
    expect(item.type === 'function_call' && JSON.parse(item.arguments)).toEqual({ cmd: 'ls', yield_time_ms: 30_000 });
  });

  test('a patch is a call of apply_patch, or a command where that is not offered', () => {
    const call = { kind: 'patch', patch: '*** Begin Patch\n*** End Patch' } as const;
    expect(callItem(call, layout)).toMatchObject({ type: 'custom_tool_call', name: 'apply_patch', input: call.patch });
    expect(callItem(call, { kind: 'classic', canPatch: false })).toMatchObject({ name: 'exec_command' });
  });

  test('a patch given to exec_command is reported inside the report of the command', () => {
    const report = 'Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess.\n';
    const output = `Wall time: 0.1 seconds\nOutput:\n${report}`;
    const request = ask.classicRequest('patch a.txt: x', [{ type: 'function_call_output', call_id: 'c', output }]);
    expect(request.results).toEqual([{ exitCode: 0, output: 'Success.\n', running: null, waits: 0 }]);
  });

  test('a wait is an empty write to the running session', () => {
    const item = callItem({ kind: 'wait', running: { kind: 'session', sessionId: 7 } }, layout);
    expect(item).toMatchObject({ name: 'write_stdin' });
    expect(item.type === 'function_call' && JSON.parse(item.arguments)).toMatchObject({ session_id: 7, chars: '' });
  });

  test('ids are new each time, since Codex shows them as message and tool call ids', () => {
    const call = { kind: 'command', command: 'ls' } as const;
    expect(callItem(call, layout).call_id).not.toBe(callItem(call, layout).call_id);
  });
});

describe('code mode', () => {
  const request = (outputs: readonly object[]): ReturnType<typeof parseModelRequest> =>
    parseModelRequest(
      { model: 'gpt-5.6-sol', stream: true, input: [ask.codeTools, ...ask.userInput('run x'), ...outputs] },
      10,
    );
  const cellOutput = (...texts: string[]): object => ({
    type: 'custom_tool_call_output',
    call_id: 'call_1',
    output: texts.map((text) => ({ type: 'input_text', text })),
  });

  /** Runs the JavaScript of a call with the given tools and gives what it passes to `text()`. */
  const runScript = async (source: string, tools: object): Promise<string> => {
    const printed: string[] = [];
    await runInNewContext(`(async () => {${source}})()`, { tools, text: (value: string) => printed.push(value) });
    return printed.join('');
  };

  test('a command is JavaScript that waits for it and passes on its exit code and output', async () => {
    const item = callItem({ kind: 'command', command: 'echo "1"' }, { kind: 'code' });
    if (item.type !== 'custom_tool_call') throw new Error('not a custom call');
    const asked: unknown[] = [];
    const printed = await runScript(item.input, {
      exec_command: (args: unknown) => {
        asked.push(args);
        return { session_id: 5, output: 'one\n' };
      },
      write_stdin: (args: unknown) => {
        asked.push(args);
        return { exit_code: 3, output: 'two\n' };
      },
    });
    expect(asked).toMatchObject([{ cmd: 'echo "1"' }, { session_id: 5, chars: '' }]);
    const results = request([cellOutput('Script completed\nWall time 0.3 seconds\nOutput:\n', printed)]).results;
    expect(results).toMatchObject([{ exitCode: 3, output: 'one\ntwo\n', running: null }]);
  });

  test('a patch is JavaScript that applies it', async () => {
    const item = callItem({ kind: 'patch', patch: '*** Begin Patch\n+"x"' }, { kind: 'code' });
    if (item.type !== 'custom_tool_call') throw new Error('not a custom call');
    const applied: unknown[] = [];
    expect(await runScript(item.input, { apply_patch: (patch: unknown) => applied.push(patch) })).toBe('exit code 0\n');
    expect(applied).toEqual(['*** Begin Patch\n+"x"']);
  });

  test('a cell that is still running is waited for', () => {
    const running = cellOutput('Script running with cell ID c9\nWall time 30.0 seconds\nOutput:\n');
    const step = ask.reply(request([running]));
    expect(step.call).toEqual({ kind: 'wait', running: { kind: 'cell', cellId: 'c9' } });
    expect(callItem({ kind: 'wait', running: { kind: 'cell', cellId: 'c9' } }, { kind: 'code' })).toMatchObject({
      name: 'wait',
    });
    const done = cellOutput('Script completed\nWall time 1 seconds\nOutput:\n', 'exit code 0\nend\n');
    expect(ask.textOf(ask.reply(request([running, done])))).toContain('```\nend\n```');
  });

  test('a script that fails is a failed result with its message', () => {
    const failed = cellOutput('Script failed\nWall time 0.1 seconds\nOutput:\n', 'Error: denied');
    expect(request([failed]).results).toMatchObject([{ exitCode: null, output: 'Error: denied', running: null }]);
  });
});

describe('the user\u2019s last words', () => {
  const userTextOf = (...texts: string[]): string =>
    parseModelRequest(
      { model: 'm', input: texts.map((text) => ({ role: 'user', content: [{ type: 'input_text', text }] })) },
      10,
    ).userText;

  test.each([
    '<environment_context>\n<cwd>/w</cwd>\n</environment_context>',
    '<turn_aborted>\nThe user interrupted.\n</turn_aborted>',
    '# AGENTS.md instructions for /workspace\n\nBe kind.',
  ])('are not what the harness adds: %j', (context) => expect(userTextOf('say hi', context)).toBe('say hi'));

  test('may be split into blocks', () => {
    const content = [
      { type: 'input_text', text: '' },
      { type: 'input_text', text: '/status' },
    ];
    expect(parseModelRequest({ model: 'm', input: [{ role: 'user', content }] }, 10).userText).toBe('/status');
  });

  test('of an earlier turn do not count, nor do its results', () => {
    const input = [...ask.userInput('run a'), ask.execOutput(0, 'a'), ...ask.userInput('run b')];
    const request = parseModelRequest({ model: 'm', input }, 10);
    expect(request).toMatchObject({ userText: 'run b', results: [] });
  });
});
