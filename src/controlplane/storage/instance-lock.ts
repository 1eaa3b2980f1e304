import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CaissonError } from '../../kernel/errors.ts';
import { makePrivateFile } from './private-file.ts';
import { sqliteErrorCode, translateSqliteError } from './sqlite-errors.ts';

const sqliteBusy = 5;
const sqliteNotADatabase = 26;

/**
 * Makes this process the only control plane of a data directory until it is disposed, or the process ends in whatever
 * way: the lock is SQLite's own on `caisson.lock`, which the operating system drops with the process. To remove that file does
 * not get anybody past a control plane that runs: who has to make it must find `database` unused.
 * Errors: CONFIG_INVALID when another one has it.
 */
export function takeInstanceLock(directory: string, database: string): Disposable {
  const file = join(directory, 'caisson.lock');
  const isNew = makePrivateFile(file);
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive');
    if (isNew && existsSync(database) && isInUse(database)) {
      rmSync(file); // so that the next start looks as well
      throw new CaissonError('CONFIG_INVALID', `${file} was removed while a program has ${database} open.`, {
        hint: 'Stop the control plane that still runs on the data directory, or close the tool that reads its database.',
      });
    }
  } catch (thrown) {
    lock.close();
    throw refusalOf(thrown, { directory, file });
  }
  return { [Symbol.dispose]: () => lock.close() };
}

/** Whether any connection, of this process or another, has the database open. */
function isInUse(database: string): boolean {
  const probe = new DatabaseSync(database, { timeout: 0 });
  try {
    probe.exec('pragma locking_mode = exclusive; select count(*) from sqlite_schema');
    return false;
  } catch (thrown) {
    if (((sqliteErrorCode(thrown) ?? 0) & 0xff) === sqliteBusy) return true;
    throw translateSqliteError(thrown);
  } finally {
    probe.close();
  }
}

function refusalOf(
  cause: unknown,
  { directory, file }: { readonly directory: string; readonly file: string },
): unknown {
  switch (sqliteErrorCode(cause)) {
    case sqliteBusy:
      return new CaissonError(
        'CONFIG_INVALID',
        `Another control plane already runs on the data directory ${directory}.`,
        {
          hint: 'Stop it first, or set CAISSON_DATA_DIR to another directory.',
        },
      );
    case sqliteNotADatabase:
      return new CaissonError('CONFIG_INVALID', `${file} is damaged.`, { hint: 'Delete it: it holds nothing.', cause });
    default:
      return translateSqliteError(cause);
  }
}
