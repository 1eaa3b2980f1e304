import { access, readFile, stat } from 'node:fs/promises';
import { CaissonError } from '../../kernel/errors.ts';
import { outputOf } from './host-script.ts';

/**
 * What is listed: a byte for each file that a thread has open or mapped, and some 30 for each without a name. A sandbox that holds more
 * is not measured: it could hide behind them.
 */
const mostBytes = 1_000_000;

/**
 * Of each process in the list `$1`: what its threads have open, since each may have a table of its own, and what is mapped, which is the
 * same for all, so it is asked of the first that lives. Prints a dot for each, device, inode and blocks of 512 bytes of those without
 * a name, and a last line.
 */
const script = `
for process in $(cat "$1"); do
  isMapped=
  for thread in /proc/$process/task/*; do
    set -- "$@" "$thread/fd"
    [ -z "$isMapped" ] && read -r _ < "/proc/\${thread##*/}/maps" || continue
    set -- "$@" "/proc/\${thread##*/}/map_files"
    isMapped=yes
  done
done
shift
command -v find >/dev/null || exit
[ $# -eq 0 ] || find -L "$@" -mindepth 1 -maxdepth 1 -printf . -type f -links 0 -printf '\\n%D %i %b\\n'
echo; echo end
`;

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
  const processes = await processList(containerId, pid);
  if (processes === undefined) return 0;
  const devices = new Set(await Promise.all(paths.map(async (path) => String((await stat(path)).dev))));
  const output = await outputOf(script, { args: [processes], signal, mostBytes });
  if (!output.endsWith('\nend\n')) throw new CaissonError('PROVIDER_UNAVAILABLE', 'Open files could not be looked at.');
  const sizes = new Map<string, number>();
  for (const [, device = '', inode = '', blocks = ''] of output.matchAll(/^(\d+) (\d+) (\d+)$/gm)) {
    if (devices.has(device)) sizes.set(`${device}:${inode}`, Number(blocks) * 512);
  }
  return sizes.values().reduce((sum, size) => sum + size, 0);
}

/** The engine puts every process of a container into a control group of its own, which nothing in it can leave. */
async function processList(containerId: string, pid: number): Promise<string | undefined> {
  const groups = (await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(unlessGone)) ?? '';
  for (const line of groups.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const list = `/sys/fs/cgroup/${controllers}${path}/cgroup.procs`;
    if (!path.includes(containerId)) continue;
    const found = await access(list).then(() => list, unlessGone);
    if (found !== undefined) return found;
  }
  return undefined;
}

function unlessGone(thrown: unknown): undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
  throw thrown;
}
