import { chmodSync, closeSync, openSync } from 'node:fs';

/**
 * Makes `file` if it is not there, and gives it mode 600. SQLite's other files take the mode of their database.
 * A file that is there is not opened: closing it again would drop the locks that SQLite holds on it in this process.
 */
export function makePrivateFile(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    chmodSync(file, 0o600);
  }
}
