import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import type { Readable } from 'node:stream';
import { CaissonError, errorText, toCaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { maxMatchText, type SearchItem, type SearchMatch, type SearchRequest } from '../../wire/contract/files.ts';
import { BoundedWork } from '../bounded-work.ts';
import { errnoOf } from './errno.ts';
import type { Confinement, Pin } from './confinement.ts';
import type { ItemStream } from './item-stream.ts';
import { namePattern } from './name-pattern.ts';
import { Pacer } from './pacer.ts';
import type { SandboxPath } from './sandbox-path.ts';
import { StandstillWatch } from './standstill-watch.ts';

/** At once: each is a process that reads as fast as the disk. */
const maxSearches = 8;
/** Then the search ends with what it has found. */
const longestMs = 120_000;
/** Sent together. */
const batchMatches = 100;
/** A line of output that is longer has no end that is worth waiting for. */
const maxOutputLineBytes = 64 * 1024;
const maxErrorBytes = 2_048;
/** Of the address space of one search, in KiB: four threads with files of 64 MiB in one line each need 1.3 GiB. */
const maxMemoryKib = 1_536 * 1_024;
const maxThreads = 4;
/** Becomes ripgrep. Where the sandbox is short of memory, a search is the first to go. Whoever has tighter bounds keeps them. */
const boundedRipgrep = `{ echo 1000 > /proc/self/oom_score_adj; ulimit -v ${maxMemoryKib}; } 2>/dev/null; exec rg "$@"`;
/** What a shell ends with that could not become ripgrep. */
const notExecuted: ReadonlySet<number | null> = new Set([126, 127]);

type Ripgrep = ChildProcessByStdio<null, Readable, Readable>;

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Searches with ripgrep, which is in the image. CAPABILITY_UNSUPPORTED where it is not, LIMIT_REACHED where no process can be started. */
export class Searches {
  readonly #confinement: Confinement;
  readonly #searches = new BoundedWork({ name: 'searches', running: maxSearches });

  constructor(confinement: Confinement) {
    this.#confinement = confinement;
  }

  /**
   * Sends matches as they are found, at most `limit`, and then the end. The process is killed when the reader leaves, the
   * limit is reached, or two minutes are over. LIMIT_REACHED above 8 at once; BAD_REQUEST for a query that cannot be read;
   * SEARCH_FAILED where it stands still, as before a pipe. One that dies and has found nothing is LIMIT_REACHED for want of
   * memory or of room for its threads, else SEARCH_FAILED; one that has found something ends with `isCut`.
   */
  async run(
    path: SandboxPath,
    request: SearchRequest,
    { open, gone }: { readonly open: () => ItemStream<SearchItem>; readonly gone: AbortSignal },
  ): Promise<void> {
    await this.#searches.run(async () => {
      using folder = this.#confinement.pin(path, { folder: true });
      await search(folder, path, request, open);
    }, gone);
  }
}

async function search(
  folder: Pin,
  path: SandboxPath,
  request: SearchRequest,
  open: () => ItemStream<SearchItem>,
): Promise<void> {
  const isWanted = request.by === 'name' ? namePattern(request.query, request.ignoreCase) : undefined;
  const child = await startRipgrep(folder, request);
  const items = open();
  const stop = (): void => void child.kill('SIGKILL');
  items.gone.addEventListener('abort', stop);
  let isLate = false;
  const late = setTimeout(() => {
    isLate = true;
    stop();
  }, longestMs);
  const complaint = firstText(child.stderr);
  const exit = new Promise<Exit>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  let standsStill = false;
  using standstill = new StandstillWatch(child.pid, () => {
    standsStill = true;
    stop();
  });
  const send = async (matches: readonly SearchMatch[]): Promise<void> => {
    standstill.hold(); // a slow reader holds ripgrep up too
    await items.send({ type: 'matches', matches: [...matches] });
    standstill.go();
  };
  try {
    if (items.gone.aborted) stop();
    let sent = 0;
    let batch: SearchMatch[] = [];
    let isCut = false;
    for await (const match of readMatches(child.stdout, path, isWanted)) {
      if (sent + batch.length === request.limit) {
        isCut = true;
        break;
      }
      if (match !== 'pause') batch.push(match);
      if (batch.length < batchMatches && match !== 'pause') continue;
      if (batch.length > 0) await send(batch);
      sent += batch.length;
      batch = [];
    }
    if (isCut) stop();
    const ended = await exit;
    if (batch.length > 0) await send(batch);
    if (standsStill) throw stoodStill();
    const failure = isCut || isLate ? undefined : failureOf(ended, (await complaint).trim());
    if (failure !== undefined && sent === 0) throw failure;
    await items.send({ type: 'end', isCut: isCut || isLate || failure !== undefined });
    items.end();
  } catch (thrown) {
    if (!items.gone.aborted) items.end(toCaissonError(thrown));
  } finally {
    clearTimeout(late);
    items.gone.removeEventListener('abort', stop);
    stop();
    await exit;
  }
}

/** Why a search that nobody stopped is not whole. Code 1 is for nothing found, 2 without a word for files that may not be read. */
function failureOf({ code, signal }: Exit, said: string): CaissonError | undefined {
  if (code === 0 || code === 1 || (code === 2 && said === '')) return undefined;
  if (said.includes('Resource temporarily unavailable')) return noRoom('it could not start its threads');
  if (code === 2) return new CaissonError('BAD_REQUEST', `The search cannot be made: ${said}`);
  if (notExecuted.has(code)) {
    return new CaissonError('CAPABILITY_UNSUPPORTED', `The sandbox cannot search: ${said}.`, {
      hint: 'Put ripgrep (rg) into the image of the sandbox.',
    });
  }
  if (said.includes('memory allocation')) {
    return new CaissonError('LIMIT_REACHED', `The search needs more than ${maxMemoryKib / 1_024} MiB of memory.`, {
      hint: 'Search in a smaller folder, or without very long lines. Is a .ignore or .gitignore a link to a device?',
      details: { limit: maxMemoryKib * 1_024 },
    });
  }
  const how = signal === null ? `code ${code}` : signal;
  return new CaissonError('SEARCH_FAILED', `The search was not finished: ripgrep ended with ${how}.`);
}

function noRoom(why: string, cause?: unknown): CaissonError {
  return new CaissonError('LIMIT_REACHED', `The search cannot be started: ${why}.`, {
    hint: 'The sandbox is at its limit of processes or memory. End some: `caisson ps <agent>`.',
    cause,
  });
}

function stoodStill(): CaissonError {
  return new CaissonError('SEARCH_FAILED', 'The search stood still for 10 s, and was ended.', {
    hint:
      'If a .ignore, .gitignore or .rgignore is a pipe, the search waits for it: find it with ' +
      '`find . -name ".*ignore" -type p`, or search with `includeIgnored`.',
  });
}

function argumentsOf(request: SearchRequest): string[] {
  const globs = request.globs.flatMap((glob) => ['--glob', glob]);
  const ignored = request.includeIgnored ? ['--hidden', '--no-ignore', '--glob', '!.git/'] : ['--no-require-git'];
  const threads = `--threads=${Math.min(maxThreads, availableParallelism())}`;
  const common = ['--no-config', '--no-messages', threads, '--color=never', '--null', ...ignored, ...globs];
  if (request.by === 'name') return [...common, '--files', './']; // the name is ours: of several globs, one is enough for ripgrep
  const shape = ['--no-heading', '--with-filename', '--line-number', '--column'];
  const bounds = [`--max-columns=${maxMatchText}`, '--max-columns-preview', '--max-filesize=64M'];
  const reading = [request.ignoreCase ? '--ignore-case' : '--case-sensitive'];
  if (request.literal) reading.push('--fixed-strings');
  return [...common, ...shape, ...bounds, ...reading, '--regexp', request.query, '--', './'];
}

/** `/proc/self/fd/N` is the pinned folder in the new process too, until it becomes the shell. */
async function startRipgrep(folder: Pin, request: SearchRequest): Promise<Ripgrep> {
  const child = spawn('sh', ['-c', boundedRipgrep, 'rg', ...argumentsOf(request)], {
    cwd: folder.via,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return child;
  } catch (cause) {
    if (['EAGAIN', 'ENOMEM'].includes(errnoOf(cause) ?? '')) {
      throw noRoom(errorText(cause), cause);
    }
    throw new CaissonError('CAPABILITY_UNSUPPORTED', `The sandbox cannot search: ${errorText(cause)}.`, {
      hint: 'Put ripgrep (rg) into the image of the sandbox.',
      cause,
    });
  }
}

/**
 * Reads `<path>\0<line>:<column>:<text>\n`, or `<path>\0` for names. `pause` where what has arrived is used up, so that what is
 * found is not held back until there is more. `isWanted`: which names; without it, lines are read.
 */
async function* readMatches(
  output: Readable,
  path: SandboxPath,
  isWanted: ((path: string) => boolean) | undefined,
): AsyncGenerator<SearchMatch | 'pause', void> {
  const pacer = new Pacer();
  let held: Buffer = Buffer.alloc(0);
  let last: Buffer = Buffer.alloc(0);
  for await (const chunk of output as AsyncIterable<Buffer>) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let start = 0;
    for (;;) {
      const zero = held.indexOf(0, start);
      if (zero < 0) break;
      const name = held.subarray(start, zero);
      if (isWanted !== undefined) {
        const isMatch = isWanted(pathFromBytes(name.subarray(2)));
        if (isMatch) yield { path: fullPath(path, name), line: null, column: null, text: null };
        start = zero + 1;
        if (pacer.isDue) await pacer.rest();
        continue;
      }
      const end = held.indexOf(0x0a, zero);
      if (end < 0) break;
      const file = afterWarning(name, last);
      if (!file.equals(last)) last = Buffer.from(file);
      const match = lineMatch(fullPath(path, file), held.toString('utf8', zero + 1, end));
      if (match !== undefined) yield match;
      start = end + 1;
    }
    held = held.subarray(start);
    if (held.length > maxOutputLineBytes) throw new CaissonError('INTERNAL', 'ripgrep wrote a line without an end.');
    yield 'pause';
  }
}

/**
 * A file that turns out to be binary after matches were written ends with a line about it, on the same stream and with no
 * NUL: to us it looks like the beginning of the next name.
 */
function afterWarning(name: Buffer, last: Buffer): Buffer {
  if (last.length === 0 || !name.subarray(0, last.length).equals(last)) return name;
  const [warning = ''] = binaryWarning.exec(name.toString('latin1', last.length)) ?? [];
  return name.subarray(warning === '' ? 0 : last.length + warning.length);
}

const binaryWarning =
  /^: WARNING: stopped searching binary file after match \(found "[^"\n]+" byte around offset \d+\)\n/;

function lineMatch(path: string, text: string): SearchMatch | undefined {
  const [, line, column, shown = ''] = /^(\d+):(\d+):(.*)$/s.exec(text) ?? [];
  if (line === undefined || column === undefined) return undefined; // it says something else
  return { path, line: Number(line), column: Number(column), text: shown.replace(/\r$/, '').slice(0, maxMatchText) };
}

/** ripgrep names what it finds from `./` on. */
function fullPath({ bytes }: SandboxPath, name: Buffer): string {
  return pathFromBytes(Buffer.concat([bytes, name.subarray(1)]));
}

async function firstText(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (text.length < maxErrorBytes) text += chunk.toString('utf8', 0, maxErrorBytes);
  }
  return text;
}
