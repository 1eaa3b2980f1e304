import { CaissonError } from '../../kernel/errors.ts';

/** What a browser is told whose session is over, or never was. */
export function sessionEnded(): CaissonError {
  return new CaissonError('UNAUTHORIZED', 'This session has ended.', { hint: 'Sign in again, at /login.' });
}
