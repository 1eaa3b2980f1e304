import { CaissonError } from '../../kernel/errors.ts';

/** Runs work on this machine's files; what the system refuses is the caller's to mend, not a defect. */
export async function onThisMachine<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof CaissonError || !(thrown instanceof Error) || !('code' in thrown)) throw thrown;
    throw new CaissonError('BAD_REQUEST', `On this machine: ${thrown.message}.`, {
      hint: 'Check the local path and its permissions.',
      cause: thrown,
    });
  }
}
