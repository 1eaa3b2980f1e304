import { readdir, readFile } from 'node:fs/promises';
import type { Clock } from '../../kernel/clock.ts';
import type { Pty } from './pty.ts';

/** How long a program has to end after SIGHUP. */
const graceMs = 2_000;

/**
 * Ends a terminal with all that runs in its session: SIGHUP as when the line goes dead, and SIGKILL for what is left
 * when its leader has ended, or after 2 s. What has left the session (`setsid`) goes on. Resolves when `exited` does.
 */
export async function endSession(pty: Pty, exited: Promise<void>, clock: Clock): Promise<void> {
  const grace = Promise.withResolvers<void>();
  const takeBack = clock.schedule(graceMs, grace.resolve);
  signalAll([-pty.pid, pty.pid], 'SIGHUP');
  pty.hangUp();
  await Promise.race([exited, grace.promise]);
  takeBack();
  signalAll(await sessionMembers(pty.pid), 'SIGKILL'); // a session keeps its number when its leader has gone
  await exited;
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone already, which is what is wanted.
    }
  }
}

/** Processes whose session is that of `leader`. */
async function sessionMembers(leader: number): Promise<number[]> {
  const members: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => ''); // it has just ended
    // After the name in parentheses, which may hold anything: state, parent, group, session.
    const session = status.slice(status.lastIndexOf(')') + 2).split(' ')[3];
    if (session === String(leader)) members.push(Number(name));
  }
  return members;
}
