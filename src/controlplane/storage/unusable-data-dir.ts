import { CaissonError, errorText } from '../../kernel/errors.ts';

/** What the operating system refuses of the data directory, as CONFIG_INVALID that names it. */
export function unusableDataDir(path: string, cause: unknown): CaissonError {
  return new CaissonError('CONFIG_INVALID', `CAISSON_DATA_DIR=${path} cannot be used: ${errorText(cause)}.`, { cause });
}
