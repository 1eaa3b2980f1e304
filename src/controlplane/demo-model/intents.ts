import { fileName, greetingFor, patchFile, runnerOf, shellWord, writeFile } from './files.ts';
import { runAndReport, sequence, type Plan } from './plan.ts';
import { answer } from './step.ts';
import { longWork } from './long-work.ts';

/** Something that the demo model understands. */
export interface Intent {
  /** An example of what to say, and what comes of it. */
  readonly usage: string;
  readonly effect: string;
  readonly pattern: RegExp;
  readonly plan: (match: RegExpExecArray) => Plan;
}

const FILE = '[`"\']?([^\\s`"\':,]+)[`"\']?';

/** Asked in this order; the first whose pattern fits decides. */
export const intents: readonly Intent[] = [
  {
    usage: 'write hello.txt and run cat on it',
    effect: 'writes the file, runs the command on it, and quotes what it printed',
    pattern: new RegExp(
      // Spaces are looked at where a word ends, and so once: a text of many would otherwise hold up the whole process.
      `^(?:write|create)\\s+${FILE}(?:\\s+with\\s+(\\S.*?))?(?<=\\S),?\\s+(?:and|then|and then)\\s+run\\s+(\\S.*)$`,
      'is',
    ),
    plan: ([, file = '', content, sentence = '']) => {
      const name = fileName(file);
      const command = /.[.!]$/s.test(sentence) ? sentence.slice(0, -1) : sentence;
      return runAndReport(
        [
          {
            say: `I write \`${name}\`.`,
            call: { kind: 'command', command: writeFile(name, content ?? greetingFor(name)) },
          },
        ],
        commandOn(unquote(command), name),
        'Now I run the command.',
      );
    },
  },
  {
    usage: 'write notes.txt: some text',
    effect: 'writes the text to the file',
    pattern: new RegExp(`^(?:write|create)\\s+${FILE}(?:\\s*:\\s*|\\s+with\\s+|$)([\\s\\S]*)$`, 'i'),
    plan: ([, file = '', content = '']) => {
      const name = fileName(file);
      const command = writeFile(name, content === '' ? greetingFor(name) : content);
      return sequence([{ say: `I write \`${name}\`.`, call: { kind: 'command', command } }], ([written]) =>
        answer(written?.exitCode === 0 ? `\`${name}\` is written.` : `\`${name}\` is not written.`),
      );
    },
  },
  {
    usage: 'patch notes.txt: one more line',
    effect: 'adds the line with a patch, and creates the file when it is missing',
    pattern: new RegExp(`^(?:patch|edit)\\s+${FILE}(?:\\s*:\\s*|\\s+with\\s+|\\s|$)([\\s\\S]*)$`, 'i'),
    plan: ([, file = '', line = '']) => patchFile(fileName(file), line === '' ? 'A line from the demo model.' : line),
  },
  {
    usage: 'read notes.txt',
    effect: 'shows the file',
    pattern: new RegExp(`^(?:read|show|cat)\\s+(?:me\\s+)?(?:the\\s+file\\s+)?${FILE}$`, 'i'),
    plan: ([, file = '']) => runAndReport([], `cat ${shellWord(fileName(file))}`, 'I read it.'),
  },
  {
    usage: 'run ls -la',
    effect: 'runs the command (also as `$ ls -la`) and quotes its exit code and output',
    pattern: /^(?:run\s+|\$\s*)(\S[\s\S]*)$/i,
    plan: ([, command = '']) => runAndReport([], unquote(command), 'I run it.'),
  },
  {
    usage: 'ask permission',
    effect: 'tries `git push`, which the sandbox lets nobody do unasked (also as `push`)',
    pattern: /^(?:ask\s+(?:me\s+)?(?:for\s+)?permission|(?:git\s+)?push)\b/i,
    plan: () => runAndReport([], 'git push', 'I ask to push.'),
  },
  {
    usage: 'work for 20 seconds',
    effect: 'a long turn: a command a second, with text in between (also as `long`)',
    pattern: /^(?:long|work\s+for\s+(\d{1,3})\s+(seconds?|steps?))\s*[.!]?$/i,
    plan: ([, count = '20', unit = 'seconds']) => longWork(Number(count), unit.startsWith('step') ? 0 : 1),
  },
  {
    usage: 'count to 50',
    effect: 'streams the numbers one by one',
    pattern: /^count\s+to\s+(\d{1,4})\s*[.!]?$/i,
    plan:
      ([, last = '0']) =>
      () => ({ kind: 'reply', deltas: Array.from({ length: Number(last) }, (_, index) => `${index + 1}\n`) }),
  },
  {
    usage: 'say hello',
    effect: 'answers exactly that',
    pattern: /^say\s+([\s\S]+)$/i,
    plan:
      ([, text = '']) =>
      () =>
        answer(text),
  },
  {
    usage: 'fail',
    effect: 'the model service refuses, so that a failed run can be seen',
    pattern: /^fail\b/i,
    plan: () => () => ({
      kind: 'refusal',
      status: 400,
      error: { message: 'The demo model was asked to fail.', type: 'invalid_request_error', code: 'demo_failure' },
    }),
  },
];

/** `cat on it` and `it` mean the file; any other command is taken as it is said. */
function commandOn(command: string, file: string): string {
  if (/^it$/i.test(command)) return `${runnerOf(file)} ${shellWord(file)}`;
  const onIt = /^(.*\S)\s+on\s+it$/is.exec(command);
  return onIt?.[1] === undefined ? command : `${unquote(onIt[1])} ${shellWord(file)}`;
}

function unquote(command: string): string {
  return /^`([^`]+)`$/.exec(command.trim())?.[1] ?? command.trim();
}
