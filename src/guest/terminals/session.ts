import type { Clock } from '../../kernel/clock.ts';
import { spared } from '../processes/end-process.ts';
import { killFamily } from '../processes/kill-family.ts';
import type { Pty } from './pty.ts';

/** How long programs have to end after SIGHUP. */
const graceMs = 2_000;

/**
 * Ends a terminal with all that runs in its session: SIGHUP as when the line goes dead, and SIGKILL for what is left after
 * 2 s. What has left the session (`setsid`) goes on. Resolves when they are gone, and `exited` has.
 */
export async function endSession(pty: Pty, exited: Promise<void>, clock: Clock): Promise<void> {
  pty.hangUp();
  await killFamily({ pid: pty.pid, isLeader: true, reach: 'session', signal: 'SIGHUP', graceMs, clock, spared });
  await exited;
}
