import { readdir, readFile, stat } from 'node:fs/promises';
import { CaissonError } from '../../kernel/errors.ts';

/** Open files of threads that are looked at. A sandbox that holds more is not measured: it could hide behind them. */
const mostLooked = 100_000;

interface Holders {
  readonly containerId: string;
  /** Of the container's first process. */
  readonly pid: number;
  /** The folders whose file systems count. */
  readonly paths: readonly string[];
}

/**
 * Bytes of files that have no name any more, and that a process of the container still holds, open or mapped: a walk does not
 * see them, and they fill the disk all the same. What is on its way between two processes, in a message of a socket, is not
 * seen here either. 0 where the container does not run on this machine.
 */
export async function deletedBytes({ containerId, pid, paths }: Holders, signal: AbortSignal): Promise<number> {
  const devices = new Set(await Promise.all(paths.map(async (path) => (await stat(path)).dev)));
  const sizes = new Map<string, number>();
  let looked = 0;
  for (const each of await processesOf(containerId, pid)) {
    for await (const held of heldFiles(each)) {
      looked += held.length;
      if (looked > mostLooked) throw new CaissonError('LIMIT_REACHED', `More than ${mostLooked} files are open.`);
      for (const path of held) {
        signal.throwIfAborted();
        const file = await unlessGone(stat(path));
        if (file === undefined || file.nlink > 0 || !devices.has(file.dev)) continue;
        sizes.set(`${file.dev}:${file.ino}`, file.blocks * 512);
      }
    }
  }
  return sizes.values().reduce((sum, size) => sum + size, 0);
}

/** The engine puts every process of a container into a control group of its own, which nothing in it can leave. */
async function processesOf(containerId: string, pid: number): Promise<readonly string[]> {
  const groups = (await unlessGone(readFile(`/proc/${pid}/cgroup`, 'utf8'))) ?? '';
  for (const line of groups.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (!path.includes(containerId)) continue;
    const list = await unlessGone(readFile(`/sys/fs/cgroup/${controllers}${path}/cgroup.procs`, 'utf8'));
    if (list !== undefined) return list.split('\n').filter((each) => each !== '');
  }
  return [];
}

/**
 * Of each thread: it may have open files of its own. What is mapped is the same for all, and is asked of the first that lives: the
 * first of the process has nothing any more once it has ended, while others go on.
 */
async function* heldFiles(pid: string): AsyncGenerator<readonly string[], void, undefined> {
  const threads = (await unlessGone(readdir(`/proc/${pid}/task`))) ?? [];
  let maps = '';
  for (const thread of threads) {
    yield await openFiles(thread);
    if (maps !== '') continue;
    maps = (await unlessGone(readFile(`/proc/${thread}/maps`, 'utf8'))) ?? '';
    yield mappedFiles(thread, maps);
  }
}

async function openFiles(thread: string): Promise<string[]> {
  const folder = `/proc/${thread}/fd`;
  return ((await unlessGone(readdir(folder))) ?? []).map((name) => `${folder}/${name}`);
}

function mappedFiles(thread: string, maps: string): string[] {
  const ranges = maps.matchAll(/^([0-9a-f]+-[0-9a-f]+) .* \(deleted\)$/gm);
  return [...ranges].map(([, range = '']) => `/proc/${thread}/map_files/${range}`);
}

/** Processes end, and close their files, while they are looked at. */
async function unlessGone<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look;
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw thrown;
  }
}
