import { text as readAll } from 'node:stream/consumers';
import { CaissonError } from '../kernel/errors.ts';

/** The message of the command line; `-` reads it from stdin, to its end. */
export async function messageFrom(argument: string): Promise<string> {
  const text = argument === '-' ? await readAll(process.stdin) : argument;
  if (text.trim() === '') throw new CaissonError('MESSAGE_EMPTY', 'The message has no text.');
  return text;
}
