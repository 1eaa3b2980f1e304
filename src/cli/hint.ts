import type { CaissonError } from '../kernel/errors.ts';
import { errorTable, type ErrorCode } from '../kernel/error-table.ts';
import { advice } from './command-name.ts';
import { adminKeyFile } from './connection.ts';

interface HintContext {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The command that was given, e.g. `caisson agents create`. */
  readonly command?: string | undefined;
}

/** The hint of an error for a person at this command line, which knows better than the error table of the API. */
export function hintOf({ code, hint }: CaissonError, context: HintContext = {}): string {
  const { environment = process.env } = context;
  const isOfTable = hint === errorTable[code].hint;
  return advice((isOfTable ? ownHint(code, { ...context, environment }) : undefined) ?? hint, environment);
}

function ownHint(
  code: ErrorCode,
  { environment = {}, command = 'caisson <command>' }: HintContext,
): string | undefined {
  if (code === 'BAD_REQUEST') return `\`${command} --help\` tells what can be given.`;
  if (code !== 'UNAUTHORIZED') return undefined;
  const isGiven = (environment['CAISSON_API_KEY'] ?? '') !== '';
  const file = adminKeyFile(environment);
  return isGiven
    ? `Correct CAISSON_API_KEY, or unset it: then the key in ${file} is used.`
    : `Set CAISSON_API_KEY: the key in ${file} is none of the control plane's that answers.`;
}
