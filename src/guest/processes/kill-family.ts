import type { Clock } from '../../kernel/clock.ts';
import { pause } from '../../kernel/pause.ts';
import type { KillAnswer, SignalName } from '../../wire/contract/processes.ts';
import { sendSignal } from './managed-process.ts';
import { familyOf, isAlive, type ProcEntry, readProcess, readProcesses, sessionOf } from './proc.ts';
import { markedOrphans } from './process-mark.ts';

/** Between two looks at what is left: at first often, since most end at once. */
const looksMs = [5, 10, 20, 50, 100, 200] as const;
/** How often SIGKILL is sent to what goes on forking. A look at a full sandbox takes some 20 ms. */
const maxKills = 50;

export interface KillFamilyOptions {
  /** Undefined when the number belongs to another process by now: what is left is found by the mark. */
  readonly pid: number | undefined;
  /** Whether the process leads a group of its own, which can be signalled as one. */
  readonly isLeader: boolean;
  /** What belongs to it: its session alone, or all that it started. Default: all. */
  readonly reach?: 'session' | 'all';
  /** The mark that it was started with (`process-mark.ts`). Default: none. */
  readonly mark?: string;
  readonly signal: SignalName;
  readonly graceMs: number;
  readonly clock: Clock;
  /** Never to be signalled. */
  readonly spared: ReadonlySet<number>;
}

/**
 * Ends a process and what it started, as far as that stayed in its session, its group, or below it in the tree, or bears its
 * mark: `signal` first, SIGKILL after the grace. Resolves when all are gone; what even SIGKILL does not end is named.
 */
export async function killFamily(options: KillFamilyOptions): Promise<KillAnswer> {
  const { pid, signal, graceMs, clock } = options;
  const first = await family(options);
  const startedMs = first.find((entry) => entry.pid === pid)?.startedMs;
  if (first.length === 0) return { found: 0, left: [] };
  send(options, first, signal);
  if (signal !== 'SIGKILL') send(options, first, 'SIGCONT'); // what is stopped hears nothing else
  const end = clock.elapsed() + graceMs;
  let members = first;
  for (let look = 0; members.length > 0 && clock.elapsed() < end; look++) {
    await wait(clock, Math.min(looksMs[Math.min(look, looksMs.length - 1)] ?? 0, end - clock.elapsed()));
    members = remaining(await family(options, startedMs), first);
  }
  for (let kill = 0; members.length > 0 && kill < maxKills; kill++) {
    send(options, members, 'SIGKILL');
    await wait(clock, looksMs[Math.min(kill, looksMs.length - 1)] ?? 0);
    members = remaining(await family(options, startedMs), first);
  }
  return { found: first.length, left: members.map(({ pid }) => pid).slice(0, 2_048) };
}

/** `startedMs`: of the process itself, where it was seen. One of another start has its number, and nothing else of it. */
async function family(
  { pid, mark, reach = 'all', spared }: KillFamilyOptions,
  startedMs?: number,
): Promise<ProcEntry[]> {
  const entries = await readProcesses();
  const now = entries.find((entry) => entry.pid === pid);
  const isReused = startedMs !== undefined && now !== undefined && now.startedMs !== startedMs;
  const own = isReused ? undefined : pid;
  const orphans = mark === undefined ? [] : await markedOrphans(mark, entries);
  const found = reach === 'session' ? sessionOf(own, entries) : familyOf(own, entries, orphans);
  return found.filter((entry) => !spared.has(entry.pid));
}

/**
 * Where the parent has gone, a child is found no more by its descent: so those of the first look are looked for as well.
 * A pid that now belongs to a process of another start is somebody else's.
 */
function remaining(found: readonly ProcEntry[], first: readonly ProcEntry[]): ProcEntry[] {
  const known = new Set(found.map(({ pid }) => pid));
  const orphans = first.filter((entry) => !known.has(entry.pid)).flatMap((entry) => stillThere(entry) ?? []);
  return [...found, ...orphans];
}

function stillThere({ pid, startedMs }: ProcEntry): ProcEntry | undefined {
  const now = readProcess(pid);
  return now?.startedMs === startedMs && isAlive(now) ? now : undefined;
}

/** The group in one call, so that no fork slips between; then those that have left it, one by one. */
function send({ pid, isLeader }: KillFamilyOptions, members: readonly ProcEntry[], signal: SignalName): void {
  if (isLeader && pid !== undefined && members.some(({ group }) => group === pid)) sendSignal(-pid, signal);
  for (const member of members) if (!isLeader || member.group !== pid) sendSignal(member.pid, signal);
}

function wait(clock: Clock, ms: number): Promise<void> {
  return pause(clock, ms, new AbortController().signal);
}
