import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { intents } from '../../../src/controlplane/demo-model/intents.ts';
import { parseModelRequest } from '../../../src/controlplane/demo-model/responses-request.ts';
import { demoScript } from '../../../src/controlplane/demo-model/script.ts';
import * as ask from './asking.ts';

/** Runs what the script asks for in a folder, as the sandbox's shell would. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'demo-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const shell = (command: string): object => {
  try {
    const printed = execFileSync('/bin/sh', ['-c', command], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
    return ask.execOutput(0, printed);
  } catch (thrown) {
    return ask.execOutput(
      typeof thrown === 'object' && thrown !== null && 'status' in thrown ? Number(thrown.status) : 1,
      '',
    );
  }
};
const inShell = (text: string): { commands: string[]; answer: string } => {
  const { calls, answer } = ask.runTurn(text, (step) => shell(ask.commandOf(step)));
  return { commands: calls.map(ask.commandOf), answer };
};

describe('write and run', () => {
  test('writes the file, runs the command on it, and quotes the real output', () => {
    const { commands, answer } = inShell('write hello.txt and run cat on it');
    expect(commands).toEqual([`printf '%s\\n' 'Hello from the demo model.' > hello.txt`, 'cat hello.txt']);
    expect(readFileSync(join(folder, 'hello.txt'), 'utf8')).toBe('Hello from the demo model.\n');
    expect(answer).toBe('`cat hello.txt` exited with code 0 and printed:\n\n```\nHello from the demo model.\n```');
  });

  test('takes given content, makes folders, and quotes for the shell', () => {
    const { answer } = inShell("write `a b/it's.txt` with x and run `wc -c` on it");
    expect(answer).toContain('This is the demo model');
    const { commands } = inShell("write docs/one.txt with it's fine and run wc -c on it");
    expect(commands[1]).toBe('wc -c docs/one.txt');
    expect(readFileSync(join(folder, 'docs/one.txt'), 'utf8')).toBe("it's fine\n");
  });

  test('runs a script by its language', () => {
    expect(inShell('write hello.sh and run it').answer).toContain('```\nHello from the demo model\n```');
  });

  test.each([
    ['write a.txt with one, two, and then run wc -c on it!', 'one, two', 'wc -c a.txt'],
    ['write a.txt, then run ls .', undefined, 'ls'],
    ['write a.txt with x y  and   run  .', 'x y', '.'],
  ])('%s', (text, content = 'Hello from the demo model.', command) => {
    const { calls } = ask.runTurn(text, () => ask.execOutput(0, ''));
    expect(calls.map(ask.commandOf)).toEqual([`printf '%s\\n' '${content}' > a.txt`, command]);
  });

  test.each(['write a.txt with ', 'write a.txt with x', 'write a.txt and run x'])(
    'a message that begins with %j and goes on with many spaces is read once',
    (beginning) => {
      const text = `${beginning}${' '.repeat(200_000)}y`; // one that is read anew from each of them takes minutes, or for ever
      expect(ask.runTurn(text, () => ask.execOutput(0, '')).calls.length).toBeGreaterThan(0);
    },
  );

  test('ends the turn when the file cannot be written', () => {
    const { calls, answer } = ask.runTurn('write hello.txt and run cat on it', () =>
      ask.execOutput(1, 'No space left\n'),
    );
    expect(calls).toHaveLength(1);
    expect(answer).toContain('No space left');
  });
});

test.each(['run echo hi', '$ echo hi', 'run `echo hi`', 'Please run echo hi'])('%s runs the command', (text) => {
  const { commands, answer } = inShell(text);
  expect(commands).toEqual(['echo hi']);
  expect(answer).toBe('`echo hi` exited with code 0 and printed:\n\n```\nhi\n```');
});

test('a failed command is reported with its exit code', () => {
  expect(inShell('run exit 3').answer).toBe('`exit 3` exited with code 3 and printed nothing.');
});

test('a long output is quoted by its end, fenced by more backticks than it has', () => {
  const { answer } = ask.runTurn('run x', () => ask.execOutput(0, `${'a'.repeat(20_000)}\`\`\`\n`));
  expect(answer.length).toBeLessThan(9_000);
  expect(answer.endsWith('```\n````')).toBe(true);
});

test('write with text writes it, and read shows it', () => {
  expect(inShell('write notes.txt: one\ntwo').answer).toBe('`notes.txt` is written.');
  expect(inShell('read notes.txt').answer).toContain('```\none\ntwo\n```');
});

test('patch creates a missing file and updates an existing one', () => {
  const patchFor = (exitCode: number): unknown =>
    ask.reply(ask.classicRequest('patch a.txt: x', [ask.execOutput(exitCode, '')])).call;
  expect(patchFor(1)).toEqual({ kind: 'patch', patch: '*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch' });
  expect(patchFor(0)).toEqual({
    kind: 'patch',
    patch: '*** Begin Patch\n*** Update File: a.txt\n@@\n+x\n*** End Patch',
  });
  const outputs = [ask.execOutput(0, ''), ask.patchOutput(0, 'Success.\n')];
  expect(ask.textOf(ask.reply(ask.classicRequest('patch a.txt: x', outputs)))).toBe('`a.txt` is patched.');
});

test.each(['ask permission', 'push', 'ask for permission'])('%s tries git push', (text) => {
  expect(ask.commandOf(ask.reply(ask.classicRequest(text)))).toBe('git push');
});

test('say answers exactly the text', () => {
  expect(ask.textOf(ask.reply(ask.classicRequest('say  two  spaces\nand a line ')))).toBe('two  spaces\nand a line');
});

test('count streams one delta a number', () => {
  expect([...(ask.reply(ask.classicRequest('count to 3')).deltas ?? [])]).toEqual(['1\n', '2\n', '3\n']);
});

test('work has distinct ordered steps, each with text and a command', () => {
  const { calls, answer } = ask.runTurn('work for 3 steps', (step) => shell(ask.commandOf(step)));
  expect(calls.map(ask.textOf)).toEqual(['Step 1 of 3.', 'Step 2 of 3.', 'Step 3 of 3.']);
  expect(answer).toBe('All 3 steps are done:\n\n- step 1 of 3\n- step 2 of 3\n- step 3 of 3\n');
  expect(ask.commandOf(ask.reply(ask.classicRequest('long')))).toBe('sleep 1; echo step 1 of 20');
});

test('fail is refused in the shape of the service', () => {
  expect(demoScript(ask.classicRequest('fail'))).toMatchObject({
    kind: 'refusal',
    status: 400,
    error: { code: 'demo_failure' },
  });
});

test('a command that is still running is waited for, and its output is put together', () => {
  const waiting = ask.reply(ask.classicRequest('run x', [ask.stillRunning(7, 'one\n')]));
  expect(waiting.call).toEqual({ kind: 'wait', running: { kind: 'session', sessionId: 7 } });
  const outputs = [ask.stillRunning(7, 'one\n'), ask.stillRunning(7, 'two\n'), ask.execOutput(0, 'three\n')];
  expect(ask.textOf(ask.reply(ask.classicRequest('run x', outputs)))).toContain('```\none\ntwo\nthree\n```');
});

test('a command that never ends does not keep the turn for ever', () => {
  const { calls, answer } = ask.runTurn('run x', () => ask.stillRunning(7, ''), 200);
  expect(calls).toHaveLength(121);
  expect(answer).toContain('did not run to its end');
});

test.each(['hello', 'help', 'what is the weather?', ''])(
  '"%s" gets an honest answer that lists what it can do',
  (text) => {
    const answer = ask.textOf(ask.reply(ask.classicRequest(text)));
    expect(answer).toContain('This is the demo model. It does not think');
    expect(answer).toContain('OPENAI_API_KEY');
    for (const intent of intents) expect(answer).toContain(intent.usage);
  },
);

test('every example in the help is understood', () => {
  for (const intent of intents) {
    expect(intents.find((other) => other.pattern.test(intent.usage))).toBe(intent);
  }
});

test('without a tool that runs commands it says what it is instead of calling one', () => {
  const request = parseModelRequest({ model: 'gpt-5.5', input: 'run ls' }, 10);
  expect(ask.textOf(ask.reply(request))).toContain('This is the demo model');
});

test('the same request gets the same step: a retry may come to another server', () => {
  const request = (): unknown => demoScript(ask.classicRequest('patch a.txt: x', [ask.execOutput(1, '')]));
  expect(request()).toEqual(request());
});

test('a title request gets a title', () => {
  const schema = { type: 'object', properties: { title: { type: 'string' } } };
  const request = parseModelRequest(
    {
      model: 'gpt-5.6-luna',
      input: ask.userInput("Your task is to generate a very short title.\n\nUser's first message:\nrun the tests of x"),
      text: { format: { type: 'json_schema', schema } },
    },
    10,
  );
  expect(JSON.parse(ask.textOf(ask.reply(request)))).toEqual({ title: 'run the tests of x' });
});

test('a compaction request gets a summary, not a turn', () => {
  const prompt = 'You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary.';
  expect(ask.textOf(ask.reply(ask.classicRequest(prompt)))).toContain('keeps nothing in mind');
});
