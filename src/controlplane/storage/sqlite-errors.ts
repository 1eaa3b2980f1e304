import { CaissonError } from '../../kernel/errors.ts';

/** By SQLite's primary result codes (sqlite.org/rescode.html). */
const failures: Readonly<Record<number, { readonly message: string; readonly hint: string }>> = {
  5: { message: 'Another program holds the database.', hint: 'Close the program that has caisson.db open.' },
  8: { message: 'The database cannot be written.', hint: 'Check who owns the files of the data directory.' },
  10: { message: 'Reading or writing the database failed.', hint: 'Check the disk of the data directory.' },
  11: { message: 'The database is damaged.', hint: 'Restore the data directory from a backup.' },
  13: { message: 'The disk of the data directory is full.', hint: 'Free some space on it, then try again.' },
  14: { message: 'The database cannot be opened.', hint: 'Check who owns the files of the data directory.' },
  26: { message: 'caisson.db is not a database.', hint: 'Restore the data directory from a backup.' },
};

/**
 * What SQLite threw, with a sentence: STORAGE_UNAVAILABLE for what is wrong with the disk or the file, INTERNAL for the rest.
 * The original is its cause; nothing of the statement was written.
 */
export function translateSqliteError(thrown: unknown): unknown {
  const code = sqliteErrorCode(thrown);
  if (code === undefined) return thrown;
  const failure = failures[code & 0xff];
  return failure === undefined
    ? new CaissonError('INTERNAL', 'The database refused a statement.', { cause: thrown })
    : new CaissonError('STORAGE_UNAVAILABLE', failure.message, { hint: failure.hint, cause: thrown });
}

/** The extended result code, if SQLite threw this. */
export function sqliteErrorCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('errcode' in thrown)) return undefined;
  return typeof thrown.errcode === 'number' ? thrown.errcode : undefined;
}
