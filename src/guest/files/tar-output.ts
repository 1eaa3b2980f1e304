import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import type { Pin } from './confinement.ts';
import { errnoOf, fileError } from './errno.ts';

const program = '/bin/tar';
/** Of what it says: a line about the longest path, whose bytes may take four characters each. */
const maxSaidBytes = 64 * 1024;

type Tar = ChildProcessByStdio<null, Readable, Readable>;

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * What the sandbox's GNU tar writes to its standard output, at work in a pinned folder. Its names are quoted as C has them,
 * and it says nothing of what is well: its first word ends it, as an error about what it names. Throws at the end of an
 * output that is not whole: FILE_ACCESS_DENIED, FILE_CHANGED, else TRANSFER_BROKEN; before the beginning LIMIT_REACHED where
 * no process can be started, CAPABILITY_UNSUPPORTED where there is no tar. Killed, and waited for, when the reader leaves,
 * whoever else has its output.
 */
export async function* tarOutput(
  folder: Pin,
  args: readonly string[],
  gone: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const tar = await startTar(folder, args);
  const letGo = (): void => {
    tar.kill('SIGKILL');
    tar.stdout.destroy();
    tar.stderr.destroy(); // another process may have them as well, and would keep 'close' from coming
  };
  const exit = new Promise<Exit>((resolve) => tar.once('close', (code, signal) => resolve({ code, signal })));
  let said = '';
  tar.stderr.setEncoding('latin1').on('data', (text: string) => {
    if (said.length < maxSaidBytes) said += text;
    if (said.includes('\n') || said.length >= maxSaidBytes) letGo();
  });
  gone.addEventListener('abort', letGo);
  try {
    gone.throwIfAborted();
    try {
      yield* tar.stdout as AsyncIterable<Buffer>;
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ERR_STREAM_PREMATURE_CLOSE') throw thrown; // else it was let go of
    }
    gone.throwIfAborted();
    const ended = await exit;
    gone.throwIfAborted();
    const failure = failureOf(folder, ended, said);
    if (failure !== undefined) throw failure;
  } finally {
    gone.removeEventListener('abort', letGo);
    letGo();
    await exit;
  }
}

/** `/proc/self/fd/N` is the pinned folder in the new process too, until it becomes tar. */
async function startTar(folder: Pin, args: readonly string[]): Promise<Tar> {
  try {
    const tar = spawn(program, ['--quoting-style=c', ...args], {
      cwd: folder.via,
      env: { LC_ALL: 'C' }, // `failureOf` reads what it says
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      tar.once('spawn', resolve);
      tar.once('error', reject);
    });
    return tar;
  } catch (cause) {
    switch (errnoOf(cause)) {
      case 'EAGAIN':
      case 'ENOMEM':
        throw new CaissonError('LIMIT_REACHED', `The archive cannot be made: ${errorText(cause)}.`, {
          hint: 'The sandbox is at its limit of processes or memory. End some: `caisson ps <agent>`.',
          cause,
        });
      case 'ENOENT':
        throw new CaissonError('CAPABILITY_UNSUPPORTED', 'There is no tar in the sandbox.', {
          hint: 'Put GNU tar into the image of the sandbox.',
          cause,
        });
      default:
        throw fileError(cause, folder.path.text); // it may not be entered
    }
  }
}

/** Code 1, without a word, is for files that changed meanwhile or are gone. */
function failureOf(folder: Pin, { code, signal }: Exit, said: string): CaissonError | undefined {
  if (said === '' && (code === 0 || code === 1)) return undefined;
  const [, quoted = '', what] = /^\S+ "((?:[^"\\]|\\.)*)": (.*)\n/.exec(said) ?? [];
  const path = pathOf(folder, quoted);
  const about = (errorCode: 'FILE_ACCESS_DENIED' | 'FILE_CHANGED', text: string): CaissonError =>
    new CaissonError(errorCode, `${JSON.stringify(path)}${text}.`, { details: { path } });
  if (what?.endsWith('Permission denied') === true) return about('FILE_ACCESS_DENIED', ': permission denied');
  if (what?.startsWith('File shrank') === true) return about('FILE_CHANGED', ' has become shorter while it was read');
  if (what?.endsWith('Too many levels of symbolic links') === true) {
    return about('FILE_CHANGED', ' has become a link while it was read');
  }
  if (what?.endsWith('Cannot readlink: Invalid argument') === true) {
    return about('FILE_CHANGED', ' was a link, and has become something else while it was read');
  }
  const how = said === '' ? `tar ended with ${signal ?? `code ${code}`}` : said.split('\n', 1)[0]?.slice(0, 500);
  return new CaissonError('TRANSFER_BROKEN', `The archive was not finished: ${how}.`);
}

/** Of what tar names `./…`, in quotes. */
function pathOf(folder: Pin, quoted: string): string {
  const name = quoted.replaceAll(/\\([0-7]{3}|.)/g, (_, escaped: string) =>
    escaped.length === 3 ? String.fromCharCode(Number.parseInt(escaped, 8)) : (escapes[escaped] ?? escaped),
  );
  return pathFromBytes(Buffer.concat([folder.path.bytes, Buffer.from(name, 'latin1').subarray(1)]));
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
