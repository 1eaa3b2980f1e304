import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { unusableDataDir } from './unusable-data-dir.ts';

const privateMode = 0o600;

/**
 * Makes `file` if it is not there, which it returns, and gives it mode 600. SQLite's other files take the mode of their database.
 * A file that is there is not opened: closing it again would drop the locks that SQLite holds on it in this process.
 * Errors: CONFIG_INVALID when the operating system refuses it.
 */
export function makePrivateFile(file: string): boolean {
  try {
    const isNew = hasMade(file);
    if (!isNew && (statSync(file).mode & 0o7777) !== privateMode) chmodSync(file, privateMode);
    return isNew;
  } catch (cause) {
    throw unusableDataDir(dirname(file), cause);
  }
}

function hasMade(file: string): boolean {
  try {
    closeSync(openSync(file, 'wx', privateMode));
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    return false;
  }
}
