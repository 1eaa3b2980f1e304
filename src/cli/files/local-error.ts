import { basename, dirname } from 'node:path';
import { getSystemErrorMessage } from 'node:util';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';

/** Runs work on this machine's files; what the system refuses is the caller's to mend, not a defect. */
export async function onThisMachine<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    if (!isOfSystem(thrown)) throw thrown;
    const what = thrown.path === undefined ? '' : `${JSON.stringify(asAsked(thrown.path))}: `;
    throw new CaissonError('BAD_REQUEST', `On this machine: ${what}${localErrorText(thrown)}.`, {
      hint: /^(?:ENOSPC|EDQUOT)$/.test(thrown.code ?? '')
        ? 'Make room on its disk.'
        : 'Check the local path and its permissions.',
      cause: thrown,
    });
  }
}

/** Nobody has asked for a file under its temporary name: what is meant is its folder. */
function asAsked(path: string): string {
  return isTemporaryName(Buffer.from(basename(path))) ? dirname(path) : path;
}

/** What the operating system means by an error of Node, e.g. "address already in use". */
export function localErrorText(thrown: unknown): string {
  return isOfSystem(thrown) ? getSystemErrorMessage(thrown.errno) : errorText(thrown);
}

function isOfSystem(thrown: unknown): thrown is NodeJS.ErrnoException & { readonly errno: number } {
  return thrown instanceof Error && 'errno' in thrown && typeof thrown.errno === 'number' && thrown.errno < 0;
}
