import { CaissonError, errorText } from '../kernel/errors.ts';
import { exitCodes } from './exit-codes.ts';
import { hintOf } from './hint.ts';
import { printable } from './output/printable.ts';
import { stderr } from './output/sink.ts';
import { unknownId } from './unknown-id.ts';

/** Ends a command with an exit code when everything worth saying has been said. */
export class Exit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Says what went wrong on stderr, `error:` and `hint:` on a line each, and returns the exit code. `command`: the one that failed, e.g. `files rm`. */
export async function reportFailure(thrown: unknown, command?: string): Promise<number> {
  if (thrown instanceof Exit) return thrown.exitCode;
  const error = thrown instanceof CaissonError ? (unknownId(thrown) ?? thrown) : defect(thrown);
  await stderr.write(`${stderr.style('red', 'error:')} ${printable(error.message)}\n`);
  await stderr.write(`${stderr.style('dim', 'hint:')} ${printable(hintOf(error, { command }))}\n`);
  if (process.env['CAISSON_DEBUG'] === '1') await stderr.write(`${traceOf(thrown)}\n`);
  return error.code === 'CONTROL_PLANE_UNREACHABLE' ? exitCodes.unreachable : exitCodes.failed;
}

function defect(thrown: unknown): CaissonError {
  return new CaissonError('INTERNAL', errorText(thrown), {
    hint: 'This is a defect of the command line. CAISSON_DEBUG=1 shows where it happened.',
  });
}

function traceOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined ? '' : `\ncaused by ${traceOf(thrown.cause)}`;
  return `${thrown.stack ?? thrown.message}${cause}`;
}
