import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as pass } from 'node:timers/promises';

/** A process group by its leader, and when that started in clock ticks, so that a reused pid is not taken for it. */
export interface ProcessGroup {
  readonly pid: number;
  readonly startTicks: string;
}

const graceMs = 3000;

/** The group of a process that was just started as its leader. */
export async function processGroup(pid: number): Promise<ProcessGroup> {
  return { pid, startTicks: (await readStat(pid))?.startTicks ?? '' };
}

export async function groupState(group: ProcessGroup): Promise<'running' | 'paused' | 'stopped'> {
  const stat = await readStat(group.pid);
  if (!stat || stat.startTicks !== group.startTicks || 'ZX'.includes(stat.state)) return 'stopped';
  return stat.state === 'T' ? 'paused' : 'running';
}

/** Freezes or thaws every process; done when the leader is. */
export async function freezeGroup(group: ProcessGroup, frozen: boolean): Promise<void> {
  signalGroup(group.pid, frozen ? 'SIGSTOP' : 'SIGCONT');
  const wanted = frozen ? 'paused' : 'running';
  while (![wanted, 'stopped'].includes(await groupState(group))) await pass(1);
}

/** SIGTERM to every process, SIGKILL after 3 s; done when none is left. */
export async function endGroup(group: ProcessGroup): Promise<void> {
  const leader = await readStat(group.pid);
  if (leader && leader.startTicks !== group.startTicks) return; // the pid is somebody else's now, so our group is gone
  signalGroup(group.pid, 'SIGTERM');
  signalGroup(group.pid, 'SIGCONT');
  const killAt = Date.now() + graceMs;
  while (signalGroup(group.pid, Date.now() < killAt ? 0 : 'SIGKILL')) await pass(5);
}

/** Sends the signal to every process of the group; 0 only looks. False when there is none. */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH') return false;
    throw thrown;
  }
}

async function readStat(pid: number): Promise<{ readonly state: string; readonly startTicks: string } | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' '); // the name before it may hold spaces
    return { state: fields[0] ?? '', startTicks: fields[19] ?? '' };
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ESRCH')) {
      return undefined;
    }
    throw thrown;
  }
}
