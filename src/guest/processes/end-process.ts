import type { Clock } from '../../kernel/clock.ts';
import { killFamily } from './kill-family.ts';
import type { ManagedProcess } from './managed-process.ts';

/** From SIGTERM to SIGKILL for a process whose time is up. */
const graceMs = 2_000;

const spared: ReadonlySet<number> = new Set([1, process.pid]);

/** Nobody waits for it any more: it is killed, with all that it started. */
export function abandon(managed: ManagedProcess, clock: Clock): void {
  if (managed.isOver) return;
  if (!managed.hasExited) {
    managed.signal('SIGKILL'); // the group at once; then those that have left it
    void killFamily({ pid: managed.pid, isLeader: true, signal: 'SIGKILL', graceMs: 0, clock, spared });
  }
  managed.cutOutput();
}

/** Ends the process after a time: first asked to, then killed. The returned function takes it back. */
export function endAfter(managed: ManagedProcess, timeoutMs: number, clock: Clock): () => void {
  const cancel = clock.schedule(timeoutMs, () => {
    if (managed.hasExited) return;
    managed.markTimedOut();
    void killFamily({ pid: managed.pid, isLeader: true, signal: 'SIGTERM', graceMs, clock, spared });
  });
  void managed.exited.then(cancel);
  return cancel;
}
