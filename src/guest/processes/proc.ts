import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** One process, as /proc tells of it. */
export interface ProcEntry {
  readonly pid: number;
  readonly ppid: number;
  readonly group: number;
  readonly session: number;
  readonly state: string;
  /** Of the program, at most 15 bytes. */
  readonly name: string;
  readonly cpuMs: number;
  /** Since the machine was started. */
  readonly startedMs: number;
}

/** Reading one takes some 30 µs; between two lots all else has its turn. */
const lot = 32;
/** The kernel counts these times in hundredths of a second for every program. */
const msPerTick = 10;

function listPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Every process there is, threads and what ends meanwhile left out. */
export async function readProcesses(): Promise<ProcEntry[]> {
  const entries: ProcEntry[] = [];
  for (const [index, pid] of listPids().entries()) {
    if (index % lot === lot - 1) await nextTurn();
    const entry = readProcess(pid);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** Undefined when there is no such process (any more). Synchronous: /proc is memory, and a full sandbox has no threads left. */
export function readProcess(pid: number): ProcEntry | undefined {
  const text = readProcFile(pid, 'stat');
  if (text === undefined) return undefined;
  // The name stands in parentheses, and may hold some itself.
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  const number = (at: number): number => Number(fields[at] ?? 0);
  return {
    pid,
    name: text.slice(text.indexOf('(') + 1, close),
    state: fields[0] ?? '?',
    ppid: number(1),
    group: number(2),
    session: number(3),
    cpuMs: (number(11) + number(12)) * msPerTick,
    startedMs: number(19) * msPerTick,
  };
}

/** Undefined when the process is gone, or does not let itself be read. */
export function readProcFile(pid: number | 'self', name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return undefined; // it ended meanwhile
  }
}

/** The processes of the session that `leader` made. */
export function sessionOf(leader: number | undefined, entries: readonly ProcEntry[]): ProcEntry[] {
  return entries.filter((entry) => entry.session === leader && isAlive(entry));
}

/**
 * The processes that belong to `pid`: itself, its session, its group, `others`, and what descends from any of them. Those that
 * have ended and wait to be reaped do not count.
 */
export function familyOf(
  pid: number | undefined,
  entries: readonly ProcEntry[],
  others: readonly ProcEntry[] = [],
): ProcEntry[] {
  const children = new Map<number, ProcEntry[]>();
  for (const entry of entries) {
    const siblings = children.get(entry.ppid);
    if (siblings === undefined) children.set(entry.ppid, [entry]);
    else siblings.push(entry);
  }
  const found = new Map<number, ProcEntry>();
  const queue = entries.filter((entry) => entry.pid === pid || entry.session === pid || entry.group === pid);
  queue.push(...others);
  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
    if (found.has(entry.pid)) continue;
    found.set(entry.pid, entry);
    queue.push(...(children.get(entry.pid) ?? []));
  }
  return [...found.values()].filter(isAlive);
}

export function isAlive({ state }: ProcEntry): boolean {
  return state !== 'Z' && state !== 'X';
}
