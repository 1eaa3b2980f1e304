import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { pathFromBytes, pathToBytes } from '../../kernel/file-path.ts';

/** A folder that is held open, so that what was checked is what the process begins in. Dispose it after the start. */
export interface WorkingDirectory extends Disposable {
  /** For the start of a process only. */
  readonly reference: string;
  /** Where it really is, as the API writes paths. */
  readonly path: string;
}

/**
 * Opens the folder `cwd`, relative to the first root, which is the default.
 *
 * @throws FILE_NOT_FOUND, NOT_A_DIRECTORY, FILE_ACCESS_DENIED, PATH_FORBIDDEN for one that lies outside of the roots, BAD_REQUEST
 *   for what is no path.
 */
export function openWorkingDirectory(cwd: string | undefined, roots: readonly string[]): WorkingDirectory {
  const [base = '/'] = roots;
  const given = pathToBytes(cwd ?? base);
  if (given === undefined || given.includes(0)) {
    throw new CaissonError('BAD_REQUEST', 'The working directory is not a path.');
  }
  const asked = given[0] === slash ? Buffer.from(given) : Buffer.concat([Buffer.from(`${base}/`), given]);
  const fd = openFolder(asked, cwd ?? base);
  try {
    const found = readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
    if (!roots.some((root) => isWithin(found, Buffer.from(root)))) {
      throw new CaissonError('PATH_FORBIDDEN', `${cwd} is outside of the folders of the sandbox.`, {
        details: { path: cwd, roots },
      });
    }
    return {
      reference: `/proc/self/fd/${fd}`,
      path: pathFromBytes(found),
      [Symbol.dispose]: () => closeSync(fd),
    };
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}

const slash = 0x2f;

function isWithin(path: Buffer, root: Buffer): boolean {
  return path.equals(root) || path.subarray(0, root.length + 1).equals(Buffer.concat([root, Buffer.from([slash])]));
}

function openFolder(path: Buffer, shown: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    const details = { path: shown };
    if (code === 'ENOENT') throw new CaissonError('FILE_NOT_FOUND', `There is no folder ${shown}.`, { details, cause });
    if (code === 'ENOTDIR') throw new CaissonError('NOT_A_DIRECTORY', `${shown} is no folder.`, { details, cause });
    if (code === 'EACCES') {
      throw new CaissonError('FILE_ACCESS_DENIED', `${shown} may not be entered.`, { details, cause });
    }
    throw new CaissonError('BAD_REQUEST', `${shown} cannot be entered: ${errorText(cause)}.`, { details, cause });
  }
}
