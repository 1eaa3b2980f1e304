import type { CaissonError } from '../kernel/errors.ts';
import { errorTable, type ErrorCode } from '../kernel/error-table.ts';
import { advice } from './command-name.ts';
import { adminKeyFile } from './connection.ts';

interface HintContext {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The command that was given, e.g. `agents create`. */
  readonly command?: string | undefined;
}

type Hints = Readonly<Partial<Record<ErrorCode, string>>>;

/** What to type where the API speaks of what to ask for, by command. */
const hintsOfCommands: Readonly<Record<string, Hints>> = {
  'files rm': { DIRECTORY_NOT_EMPTY: '`caisson files rm -r` removes a folder with all that is in it.' },
  'files mkdir': {
    FILE_NOT_FOUND: '`caisson files mkdir -p` makes the folders above it too.',
    FILE_EXISTS: 'Choose another name. With -p a folder that is there already is fine.',
  },
  'files mv': { FILE_EXISTS: 'Choose another name. -f replaces a file by a file.' },
  'files cp': { FILE_EXISTS: 'Choose another name. -f replaces a file by a file.' },
  'files put': {
    IS_A_DIRECTORY: 'End the path with a slash, and the file is put into that folder under its own name.',
  },
  'files cat': { IS_A_DIRECTORY: '`caisson files ls` lists a folder, `caisson files get` downloads it.' },
  'files find': { NOT_A_DIRECTORY: 'Name the folder that it is in.' },
  'files grep': { NOT_A_DIRECTORY: 'Name the folder that it is in, and the file with --glob.' },
  'files watch': { NOT_A_DIRECTORY: 'Watch the folder that it is in.' },
  'keys create': {
    USER_NOT_FOUND: '`caisson users list` lists them. With --new-user one of this name is made, with its first key.',
  },
  send: { CONVERSATION_CLOSED: 'Leave --conversation out, or open a new one with --new.' },
  chat: { CONVERSATION_CLOSED: 'Leave --conversation out, or open a new one with --new.' },
  restore: { RUN_UNDER_WAY: 'Wait for the run to end, end it with `caisson runs cancel <run>`, or give --force.' },
};

/** The hint of an error for a person at this command line, which knows better than the error table of the API. */
export function hintOf({ code, hint }: CaissonError, context: HintContext = {}): string {
  const { environment = process.env } = context;
  const isOfTable = hint === errorTable[code].hint;
  return advice((isOfTable ? ownHint(code, { ...context, environment }) : undefined) ?? hint, environment);
}

/** The hint of a usage that a command does not have. `refusal`: what was said about it. */
export function usageHint(command: string, refusal: string): string {
  const help = `\`${['caisson', command].join(' ').trim()} --help\` tells how it is used.`;
  const mayBeOfProgram = (command === 'exec' || command === 'shell') && refusal.includes('unknown option');
  if (command === 'send' && refusal.includes('too many arguments'))
    return advice(`The text is one argument: put it in quotes. ${help}`);
  return advice(
    mayBeOfProgram ? `What is run stands after --: \`caisson ${command} <agent> -- ls -l\`. ${help}` : help,
  );
}

function ownHint(code: ErrorCode, { environment = {}, command = '<command>' }: HintContext): string | undefined {
  const ofCommand = hintsOfCommands[command]?.[code];
  if (ofCommand !== undefined) return ofCommand;
  if (code === 'BAD_REQUEST') return `\`caisson ${command} --help\` tells what can be given.`;
  if (code === 'FILE_NOT_FOUND') return '`caisson files ls <agent>:<folder>` lists what is there.';
  if (code !== 'UNAUTHORIZED') return undefined;
  const isGiven = (environment['CAISSON_API_KEY'] ?? '') !== '';
  const file = adminKeyFile(environment);
  return isGiven
    ? `Correct CAISSON_API_KEY, or unset it: then the key in ${file} is used.`
    : `Set CAISSON_API_KEY: the key in ${file} is none of the control plane's that answers.`;
}
