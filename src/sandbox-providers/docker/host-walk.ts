import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

/**
 * Blocks that all below `paths` takes, in bytes: hard links once, links and other file systems not followed. By `du`, in a
 * process of its own and behind all others, which looks at 100,000 files in 0.2 s when the kernel knows them and in 0.8 s
 * when it does not. Its names may be anything: nothing is read of them, and who renames folders meanwhile cannot lead it out.
 *
 * Undefined where this machine has no such folders, or no `du`. Rejects with the signal's reason.
 */
export async function walkFromHost(paths: readonly string[], signal: AbortSignal): Promise<number | undefined> {
  for (const path of paths) {
    if (!(await isThere(path))) return undefined;
  }
  const walk = spawn('nice', ['-n', '19', 'du', '-skx', '--', ...paths], {
    stdio: ['ignore', 'pipe', 'ignore'], // it complains of files that are removed while it looks: they take nothing
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
  const kill = (): void => void walk.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  try {
    if (signal.aborted) kill();
    const [output, [exitCode]] = await Promise.all([text(walk.stdout), once(walk, 'close')]);
    signal.throwIfAborted();
    return exitCode === 127 ? undefined : kibibytesOf(output, paths.length);
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw thrown;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** What `du -sk` said of that many folders, in bytes; undefined where it did not say it of each. */
export function kibibytesOf(output: string, folders: number): number | undefined {
  const sizes = [...output.matchAll(/^(\d+)\s/gm)].map(([, size]) => Number(size));
  return sizes.length === folders ? sizes.reduce((sum, size) => sum + size, 0) * 1_024 : undefined;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false; // it is on another machine, or not for us to see
  }
}
