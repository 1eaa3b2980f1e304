import type { AgentEvent } from '../../client/index.ts';
import { longestShown, shownForApproval, subjectsOf } from '../output/permission-subject.ts';
import { duration } from '../output/relative-time.ts';
import type { Style } from '../output/style.ts';
import { verbOf } from './tool-lines.ts';

type Requested = Extract<AgentEvent, { type: 'permission.requested' }>;
type Option = Requested['options'][number];

/** What the agent asks of a person: from an event, or from the list of open requests. */
export interface Question extends Pick<Requested, 'title' | 'kind' | 'expiresAt' | 'input'> {
  readonly options: readonly Option[];
}

/** The question with its numbered options, ready to be answered by a number. */
export function questionText(question: Question, style: Style, now: number): string {
  const { kind, options, expiresAt } = question;
  const left = expiresAt > now ? `, open for ${duration(expiresAt - now)}` : '';
  const [title = '', ...commands] = subjectsOf(question).map(shownForApproval);
  const where = workingDirectory(question.input);
  return [
    `${style(['bold', 'yellow'], 'The agent asks for permission')}${style('dim', left)}\n`,
    `  ${style('cyan', verbOf(kind).padEnd(5))} ${title}\n`,
    ...commands.map((command) => `        ${command}\n`),
    ...(where === undefined ? [] : [`  ${style('dim', `in    ${shownForApproval(where)}`)}\n`]),
    ...options.map(({ name }, i) => `  ${style('bold', `${i + 1}`)}  ${shownForApproval(name)}\n`),
  ].join('');
}

/** Whether all of it is on the screen. What is not can be rejected there, and not allowed. */
export function isShownWhole(question: Question): boolean {
  const { options, input } = question;
  const texts = [...subjectsOf(question), workingDirectory(input) ?? '', ...options.map(({ name }) => name)];
  return texts.reduce((length, text) => length + text.length, 0) <= longestShown;
}

/** What can be typed, for the prompt: `answer (1-2)`. */
export function answersOf({ options }: Question): string {
  return options.length < 2 ? 'answer (1)' : `answer (1-${options.length})`;
}

export function howToAnswer(question: Question): string {
  const numbers = question.options.length < 2 ? 'Type 1' : `Type a number from 1 to ${question.options.length}`;
  return isYesOrNo(question) ? `${numbers}, or y or n.` : `${numbers}.`;
}

/** The option that was typed: its number, or its id; y or n where there is one way to allow and one to reject. */
export function chosenOption(answer: string, question: Question): Option | undefined {
  const { options } = question;
  const text = answer.trim();
  const byNumber = /^[1-9]\d?$/.test(text) ? options[Number(text) - 1] : undefined;
  return byNumber ?? options.find(({ optionId }) => optionId === text) ?? byWord(text.toLowerCase(), question);
}

function byWord(word: string, question: Question): Option | undefined {
  if (!isYesOrNo(question)) return undefined;
  const decision = decisions.get(word);
  return decision === undefined ? undefined : question.options.find(({ kind }) => kind.startsWith(decision));
}

const decisions = new Map([
  ['y', 'allow'],
  ['yes', 'allow'],
  ['n', 'reject'],
  ['no', 'reject'],
]);

function isYesOrNo({ options }: Question): boolean {
  const count = (decision: string): number => options.filter(({ kind }) => kind.startsWith(decision)).length;
  return count('allow') === 1 && count('reject') === 1;
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
