import type { Clock } from '../../kernel/clock.ts';
import { killFamily, type KillFamilyOptions } from './kill-family.ts';
import type { ManagedProcess } from './managed-process.ts';
import { readProcess } from './proc.ts';
import { markOf } from './process-mark.ts';

/** From SIGTERM to SIGKILL for a process whose time is up. */
const graceMs = 2_000;

/** What holds the sandbox up. */
export const spared: ReadonlySet<number> = new Set([1, process.pid]);

/** For `killFamily`. */
export function targetOf(managed: ManagedProcess): Pick<KillFamilyOptions, 'pid' | 'isLeader' | 'mark'> {
  return { pid: isReused(managed) ? undefined : managed.pid, isLeader: true, mark: markOf(managed.id) };
}

/**
 * Whether the pid of a process that has exited belongs to another one by now, so that it must not be signalled. While
 * members of its group or session live, the kernel gives the number to nobody: what is found under it is its own.
 */
export function isReused({ hasExited, pid }: ManagedProcess): boolean {
  return hasExited && readProcess(pid) !== undefined;
}

/** Nobody waits for it any more: it is killed, with all that it started. */
export function abandon(managed: ManagedProcess, clock: Clock): void {
  if (managed.isOver) return;
  if (!managed.hasExited) {
    managed.signal('SIGKILL'); // the group at once; then those that have left it
    void killFamily({ ...targetOf(managed), signal: 'SIGKILL', graceMs: 0, clock, spared });
  }
  managed.cutOutput();
}

/** Ends the process after a time: first asked to, then killed. The returned function takes it back. */
export function endAfter(managed: ManagedProcess, timeoutMs: number, clock: Clock): () => void {
  const cancel = clock.schedule(timeoutMs, () => {
    if (managed.hasExited) return;
    managed.markTimedOut();
    void killFamily({ ...targetOf(managed), signal: 'SIGTERM', graceMs, clock, spared });
  });
  void managed.exited.then(cancel);
  return cancel;
}
