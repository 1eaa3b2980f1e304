import { CaissonError } from '../kernel/errors.ts';
import { exitCodes } from './exit-codes.ts';
import { Exit } from './failure.ts';
import { stderr } from './output/sink.ts';

interface Confirmation {
  /** What is said where nobody can be asked, and what to do then. */
  readonly refusal: string;
  readonly hint: string;
  /** What is said when the answer is no. */
  readonly unchanged: string;
}

/** Asks a yes-or-no question on the terminal; returns for yes, ends the command for anything else. */
export async function confirm(question: string, { refusal, hint, unchanged }: Confirmation): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new CaissonError('BAD_REQUEST', refusal, { hint });
  const answer = await ask(question);
  if (answer !== undefined && /^y(es)?$/i.test(answer.trim())) return;
  await stderr.write(`${answer === undefined ? '\n' : ''}${unchanged}\n`);
  throw new Exit(answer === undefined ? exitCodes.interrupted : exitCodes.failed);
}

/** Undefined: Ctrl-C or Ctrl-D. */
async function ask(question: string): Promise<string | undefined> {
  const { createInterface } = await import('node:readline');
  using terminal = createInterface({ input: process.stdin, output: process.stderr });
  return await new Promise((resolve) => {
    terminal.once('close', () => resolve(undefined)); // both keys close it
    terminal.question(question, resolve);
  });
}
