import { describe, expect, test } from 'vitest';
import type { AgentEvent } from '../../../src/client/index.ts';
import type { Sink } from '../../../src/cli/output/sink.ts';
import { plain } from '../../../src/cli/output/style.ts';
import { diffSize } from '../../../src/cli/turn/diff-size.ts';
import { chosenOption, optionFor, questionText } from '../../../src/cli/turn/permission-question.ts';
import { TurnView, type TurnViewOptions } from '../../../src/cli/turn/turn-view.ts';
import type { EventData } from '../../../src/agents/event.ts';
import { newAgentId, newMessageId } from '../../../src/kernel/ids.ts';

const agentId = newAgentId();
const [one, two] = [newMessageId(), newMessageId()];

async function shown(options: Partial<TurnViewOptions>, ...events: EventData[]): Promise<string> {
  let text = '';
  const write = async (more: string): Promise<void> => {
    text += more;
  };
  const sink: Sink = { style: plain, isTerminal: false, columns: undefined, write, writeForeign: write };
  const view = new TurnView(sink, { speech: 'live', hadSession: false, ...options });
  for (const [i, data] of events.entries()) {
    const event: AgentEvent = { seq: i + 1, agentId, conversationId: null, runId: null, at: 0, ...data };
    await view.show(event);
  }
  await view.end();
  return text;
}

const delta = (messageId: typeof one, text: string): EventData => ({
  type: 'message.delta',
  messageId,
  delta: text,
  offset: 0,
});
const completed = (messageId: typeof one, text: string): EventData => ({
  type: 'message.completed',
  messageId,
  content: [{ type: 'text', text }],
});
const started = (over: Partial<Extract<EventData, { type: 'tool.started' }>> = {}): EventData => ({
  type: 'tool.started',
  toolCallId: 'c',
  title: 'ls',
  kind: 'execute',
  locations: [],
  content: [],
  ...over,
});
const ended = (over: Partial<Extract<EventData, { type: 'tool.completed' }>> = {}): EventData => ({
  type: 'tool.completed',
  toolCallId: 'c',
  status: 'completed',
  exitCode: 0,
  content: [],
  ...over,
});

describe('TurnView', () => {
  test('shows messages as they grow, each in a paragraph of its own, and what no delta brought', async () => {
    const text = await shown({}, delta(one, 'Hel'), delta(one, 'lo'), completed(one, 'Hello!'), completed(two, 'Bye.'));
    expect(text).toBe('\nHello!\n\nBye.\n');
  });

  test('says when what was shown is thrown away, and only then', async () => {
    const discarded: EventData = { type: 'message.discarded', messageId: one, reason: 'model_retry' };
    expect(await shown({}, delta(one, 'Hel'), discarded, completed(two, 'Hello.'))).toBe(
      '\nHel\n\n(the text above was thrown away: the model broke off and is asked again)\n\nHello.\n',
    );
    expect(await shown({}, discarded)).toBe('');
  });

  test('without speech it shows only what the agent does', async () => {
    expect(await shown({ speech: 'none' }, completed(one, 'Hello.'), started(), ended())).toBe('  run   ls\n');
  });

  test('shows the beginning of a long output, counts the rest, and a bad exit', async () => {
    const output = Array.from({ length: 25 }, (_, i) => `line ${i + 1}\n`).join('');
    const text = await shown(
      { speech: 'none' },
      started(),
      { type: 'tool.updated', toolCallId: 'c', output: output.slice(0, 31) },
      { type: 'tool.updated', toolCallId: 'c', output: output.slice(31) },
      ended({ status: 'failed', exitCode: 2 }),
    );
    const lines = Array.from({ length: 10 }, (_, i) => `        line ${i + 1}\n`).join('');
    expect(text).toBe(`  run   ls\n${lines}        … 15 more lines\n        exit 2\n`);
  });

  test('shows an output again that lacked something, and only what is new of one that lacked nothing shown', async () => {
    const live: EventData = { type: 'tool.updated', toolCallId: 'c', output: 'two\n' };
    const whole = { replacesOutput: true } as const;
    expect(await shown({ speech: 'none' }, started(), live, ended({ output: 'one\ntwo\n', ...whole }))).toBe(
      '  run   ls\n        two\n        (parts are missing above; the whole output:)\n        one\n        two\n',
    );
    expect(
      await shown(
        { speech: 'none' },
        started(),
        live,
        { type: 'tool.updated', toolCallId: 'c', output: 'two\nth', ...whole },
        ended({ output: `ree\n${'more\n'.repeat(9)}` }),
      ),
    ).toBe(`  run   ls\n        two\n        three\n${'        more\n'.repeat(8)}        … 1 more lines\n`);
  });

  test('shows edits by file with what they add and remove, once', async () => {
    const content = [{ type: 'diff', path: '/workspace/a.txt', oldText: 'x\ny\n', newText: 'x\nz\nw\n' } as const];
    expect(
      await shown({ speech: 'none' }, started({ kind: 'edit', content }), ended({ content, exitCode: null })),
    ).toBe('  edit  a.txt  +2 -1\n');
  });

  test('names the file of a read instead of its title', async () => {
    const read = started({ kind: 'read', title: "Read file '/workspace/a.txt'", locations: ['/workspace/a.txt'] });
    expect(await shown({ speech: 'none' }, read)).toBe('  read  a.txt\n');
  });

  test('says that an agent has forgotten only when it had something to forget', async () => {
    const opened: EventData = { type: 'session.opened', how: 'new', modes: [], models: [], mode: null, model: null };
    expect(await shown({}, opened)).toBe('');
    expect(await shown({ hadSession: true }, opened)).toContain('it has forgotten what was said before');
  });

  test("a harness's own kind of tool is any text: it neither reaches the terminal raw nor breaks the view", async () => {
    expect(await shown({}, started({ kind: '\u001B[2Jodd' }))).toContain('  odd   ');
    expect(await shown({}, started({ kind: 'constructor' }))).toContain('  constructor ');
  });

  test('escape sequences in titles and output do not reach the terminal', async () => {
    const text = await shown({}, started({ title: 'l\u001B[2Js' }), ended({ output: '\u001B]0;owned\u0007done\n' }));
    expect(text).toBe('\n  run   ls\n        done\n');
  });
});

test.for([
  [null, 'a\nb\n', { added: 2, removed: 0 }],
  ['a\nb\n', 'a\nb\n', { added: 0, removed: 0 }],
  ['a\nb\nc', 'a\nc', { added: 0, removed: 1 }],
  ['a\na\na\n', 'a\n', { added: 0, removed: 2 }],
] as const)('diffSize of %j and %j', ([before, after, size]) => {
  expect(diffSize(before, after)).toEqual(size);
});

describe('a permission question', () => {
  const question = {
    title: 'git push',
    kind: 'execute',
    input: { command: 'git push', cwd: '/workspace' },
    options: [
      { optionId: 'always', name: 'Yes, always', kind: 'allow_always' },
      { optionId: 'yes', name: 'Yes', kind: 'allow_once' },
      { optionId: '7', name: 'No', kind: 'reject_once' },
    ],
    expiresAt: 600_000,
  } as const;

  test('shows what is asked, where, until when, and the numbered options', () => {
    expect(questionText(question, plain, 0)).toBe(
      [
        'The agent asks for permission, open for 10 min',
        '  run   git push',
        '  in    /workspace',
        '  1  Yes, always',
        '  2  Yes',
        '  3  No',
        '',
      ].join('\n'),
    );
  });

  test('takes a number or the id of an option, and nothing else', () => {
    expect(['1', ' 3 ', 'yes', '7', '0', '4', ''].map((answer) => chosenOption(answer, question)?.optionId)).toEqual([
      'always',
      '7',
      'yes',
      '7',
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('allow and reject mean the option for this time, where there is one', () => {
    expect([optionFor('allow', question.options), optionFor('reject', question.options)]).toEqual(['yes', '7']);
    expect(optionFor('allow', question.options.slice(0, 1))).toBe('always');
    expect(optionFor('reject', [])).toBeUndefined();
  });
});
