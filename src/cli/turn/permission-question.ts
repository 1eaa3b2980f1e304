import type { AgentEvent } from '../../client/index.ts';
import { oneLine } from '../output/printable.ts';
import { duration } from '../output/relative-time.ts';
import type { Style } from '../output/style.ts';
import { verbOf } from './tool-lines.ts';

type Requested = Extract<AgentEvent, { type: 'permission.requested' }>;

/** What the agent asks of a person: from an event, or from the list of open requests. */
export interface Question extends Pick<Requested, 'title' | 'kind' | 'expiresAt' | 'input'> {
  readonly options: readonly Requested['options'][number][];
}

/** The question with its numbered options, ready to be answered by a number. */
export function questionText(question: Question, style: Style, now: number): string {
  const { title, kind, options, expiresAt } = question;
  const left = expiresAt > now ? `, open for ${duration(expiresAt - now)}` : '';
  const head = `${style(['bold', 'yellow'], 'The agent asks for permission')}${style('dim', left)}\n`;
  const subject = `  ${style('cyan', verbOf(kind).padEnd(5))} ${oneLine(title, 500)}\n`;
  const where = workingDirectory(question.input);
  const lines = options.map(({ name }, i) => `  ${style('bold', `${i + 1}`)}  ${oneLine(name)}\n`);
  return `${head}${subject}${where === undefined ? '' : `  ${style('dim', `in    ${oneLine(where)}`)}\n`}${lines.join('')}`;
}

/** The option that was typed: its number, or its id. */
export function chosenOption(answer: string, question: Question): string | undefined {
  const text = answer.trim();
  const byNumber = /^[1-9]\d?$/.test(text) ? question.options[Number(text) - 1] : undefined;
  return (byNumber ?? question.options.find(({ optionId }) => optionId === text))?.optionId;
}

/** The option that `--allow` or `--reject` means: the one that holds for this time only, where there is one. */
export function optionFor(decision: 'allow' | 'reject', options: Question['options']): string | undefined {
  const once = options.find(({ kind }) => kind === `${decision}_once`);
  return (once ?? options.find(({ kind }) => kind === `${decision}_always`))?.optionId;
}

function workingDirectory(input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null || !('cwd' in input) || typeof input.cwd !== 'string')
    return undefined;
  return input.cwd;
}
