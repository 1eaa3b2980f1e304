import { lstat, readdir } from 'node:fs/promises';
import { watch } from 'node:fs';
import { setTimeout as pass } from 'node:timers/promises';
import { Backoff, pause } from '../../client/backoff.ts';
import { mayPass } from '../../client/reconnecting-sse.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { oneLine } from '../output/printable.ts';
import { stderr } from '../output/sink.ts';
import { pathBelow } from './half-file.ts';
import { onThisMachine } from './local-error.ts';
import { hasModes, put } from './put.ts';
import type { RemotePath } from './remote-path.ts';

export interface StepOptions {
  readonly mayDelete: boolean;
  readonly watch: boolean;
  readonly exclude: readonly string[];
}

/** After a change here, until more of them have come. */
const settleMs = 200;
/** How long the control plane may stay away: as with everything that follows. */
const awayForMs = 300_000;

interface Found {
  readonly size: number;
  /** In milliseconds since the epoch. */
  readonly modifiedAt: number;
  readonly mode: number;
}

interface FoundHere extends Found {
  readonly place: Buffer;
}

/**
 * Uploads what is not there, or differs in size, time or who may execute it: also over what was changed there. Files only:
 * folders come with them, links are passed over. With `watch` it looks again after each change, and ends only by an error that
 * trying again cannot change, or that stays for 5 minutes.
 */
export async function keepInStep(local: string, remote: RemotePath, options: StepOptions): Promise<void> {
  const excluded = new Set(options.exclude);
  const look = async (onDone?: () => void): Promise<void> => {
    for await (const line of step(local, remote, excluded, options.mayDelete)) {
      onDone?.();
      await stderr.write(line);
    }
  };
  if (!options.watch) return await look();
  let changed = Promise.withResolvers<void>();
  let failure: Error | undefined;
  // Before the first look, since what changes while its files go up has to come too.
  const watcher = await onThisMachine(async () =>
    watch(local, { recursive: true }, (_kind, name) => {
      if (name === null || !name.split(/[\\/]/).some((part) => excluded.has(part))) changed.resolve();
    }),
  );
  watcher.on('error', (error) => {
    failure = error;
    changed.resolve();
  });
  try {
    await untilDone(look);
    await stderr.write(`Watching ${local} …\n`);
    for (;;) {
      await onThisMachine(async () => {
        await changed.promise;
        await pass(settleMs);
        if (failure !== undefined) throw failure;
      });
      changed = Promise.withResolvers();
      await untilDone(look);
    }
  } finally {
    watcher.close();
  }
}

/** Looks again while what is in the way may pass. What was done by then is seen by the next look. */
async function untilDone(look: (onDone: () => void) => Promise<void>): Promise<void> {
  const backoff = new Backoff();
  let failingSince: number | undefined;
  const onDone = (): void => {
    failingSince = undefined;
    backoff.reset();
  };
  for (;;) {
    try {
      return await look(onDone);
    } catch (thrown) {
      if (!(thrown instanceof CaissonError) || !mayPass(thrown)) throw thrown;
      const delayMs = backoff.nextDelayMs();
      failingSince ??= performance.now();
      if (performance.now() + delayMs - failingSince > awayForMs) throw thrown;
      await stderr.write(`${thrown.message} Trying again …\n`);
      await pause(delayMs);
    }
  }
}

/** Tells each thing that it has done, as a line. */
async function* step(
  local: string,
  remote: RemotePath,
  excluded: ReadonlySet<string>,
  mayDelete: boolean,
): AsyncGenerator<string, void, undefined> {
  const { path } = remote;
  const here = new Map<string, FoundHere>();
  await onThisMachine(() => collect(Buffer.from(local), '', excluded, here));
  const there = await collectThere(remote, excluded);
  // First, since a file may have become a folder, and a folder a file.
  if (mayDelete) yield* removeSurplus(remote, here, there);
  for (const [name, found] of here) {
    const known = there.get(name);
    if (known !== undefined && isSame(found, known)) continue;
    try {
      await put(found.place, { ...remote, path: joined(path, name) });
    } catch (thrown) {
      if (!isGone(thrown instanceof CaissonError ? thrown.cause : thrown)) throw thrown;
      continue;
    }
    yield `  put ${oneLine(name)}\n`;
  }
}

/** Files that are not here, and the folders that were left empty by that. */
async function* removeSurplus(
  { client, agentId, path }: RemotePath,
  here: ReadonlyMap<string, Found>,
  there: ReadonlyMap<string, Found>,
): AsyncGenerator<string, void, undefined> {
  const wanted = new Set([...here.keys()].flatMap(foldersOf));
  const emptied = new Set<string>();
  for (const name of there.keys()) {
    if (here.has(name)) continue;
    await client.files.remove.mutate({ agentId, path: joined(path, name) });
    yield `  removed ${oneLine(name)}\n`;
    for (const folder of foldersOf(name)) if (!wanted.has(folder)) emptied.add(folder);
  }
  for (const folder of [...emptied].toSorted((one, other) => other.length - one.length)) {
    try {
      await client.files.remove.mutate({ agentId, path: joined(path, folder) });
    } catch (thrown) {
      // Something that is passed over is in it, or somebody was faster.
      if (!(thrown instanceof CaissonError) || !['DIRECTORY_NOT_EMPTY', 'FILE_NOT_FOUND'].includes(thrown.code))
        throw thrown;
    }
  }
}

/** Of `a/b/c`: `a`, `a/b`. */
function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'));
}

/** By the names that the API has for them, since names are bytes. */
async function collect(
  folder: Buffer,
  above: string,
  excluded: ReadonlySet<string>,
  into: Map<string, FoundHere>,
): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' }).catch((thrown: unknown) => {
    if (above === '' || !isGone(thrown)) throw thrown;
    return [];
  });
  for (const entry of entries) {
    const own = pathFromBytes(entry.name);
    if (excluded.has(own)) continue;
    const [name, place] = [`${above}${own}`, pathBelow(folder, entry.name)];
    if (entry.isDirectory()) await collect(place, `${name}/`, excluded, into);
    if (!entry.isFile()) continue;
    const stats = await lstat(place).catch((thrown: unknown) => {
      if (!isGone(thrown)) throw thrown;
    });
    if (stats?.isFile() === true)
      into.set(name, { size: stats.size, modifiedAt: stats.mtimeMs, mode: stats.mode, place });
  }
}

/**
 * As rsync has it: an older time means another file as well, such as one that was renamed to this name. What went up has whole
 * milliseconds, and in an archive whole seconds: of those that it had here, the rest is gone.
 */
function isSame(here: Found, there: Found): boolean {
  const unit = there.modifiedAt % 1_000 === 0 ? 1_000 : 1;
  const isSameTime = Math.floor(Math.max(0, here.modifiedAt) / unit) === Math.round(there.modifiedAt / unit);
  return here.size === there.size && isSameTime && (!hasModes || ((here.mode ^ there.mode) & 0o111) === 0);
}

/** Since it was seen: the next look knows. */
function isGone(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR');
}

async function collectThere(remote: RemotePath, excluded: ReadonlySet<string>): Promise<Map<string, Found>> {
  const { client, agentId, path } = remote;
  const found = new Map<string, Found>();
  try {
    const top = (await client.files.stat.query({ agentId, path })).path;
    for await (const entry of client.files.listAll({ agentId, path, recursive: true })) {
      const name = entry.path.slice(top.length + 1);
      if (entry.type !== 'file' || name.split('/').some((part) => excluded.has(part))) continue;
      found.set(name, entry);
    }
  } catch (thrown) {
    if (!(thrown instanceof CaissonError) || thrown.code !== 'FILE_NOT_FOUND') throw thrown; // it is made by the first file
  }
  return found;
}

function joined(folder: string, name: string): string {
  return folder === '' ? name : `${folder.replace(/\/+$/, '')}/${name}`;
}
