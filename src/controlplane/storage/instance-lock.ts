import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CaissonError } from '../../kernel/errors.ts';
import { makePrivateFile } from './private-file.ts';
import { sqliteErrorCode, translateSqliteError } from './sqlite-errors.ts';

const sqliteBusy = 5;

/**
 * Makes this process the only control plane of a data directory until it is disposed, or the process ends in whatever
 * way: the lock is SQLite's own on `caisson.lock`, which the operating system drops with the process.
 * Errors: CONFIG_INVALID when another one has it.
 */
export function takeInstanceLock(directory: string): Disposable {
  const file = join(directory, 'caisson.lock');
  makePrivateFile(file);
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('pragma journal_mode = memory; begin exclusive');
  } catch (thrown) {
    database.close();
    if (sqliteErrorCode(thrown) !== sqliteBusy) throw translateSqliteError(thrown);
    throw new CaissonError('CONFIG_INVALID', `Another control plane already runs on the data directory ${directory}.`, {
      hint: 'Stop it first, or set CAISSON_DATA_DIR to another directory.',
    });
  }
  return { [Symbol.dispose]: () => database.close() };
}
