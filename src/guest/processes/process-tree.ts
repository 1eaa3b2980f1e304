import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { maxTreeRows, type ProcessTreeRow } from '../../wire/contract/processes.ts';
import { type ProcEntry, readProcesses, readProcFile } from './proc.ts';
import type { ProcessOwners } from './process-owners.ts';

const maxCommandLength = 512;
const lot = 32;

/** Every process of the sandbox, in the order of their ids; the first 2,048. */
export async function readProcessTree(
  owners: ProcessOwners,
  now: number,
): Promise<{ readonly tree: readonly ProcessTreeRow[]; readonly isTreeCut: boolean }> {
  const entries = await readProcesses();
  const uptimeMs = machineUptimeMs();
  const ownerOf = owners.of(entries);
  const users = userNames();
  const tree: ProcessTreeRow[] = [];
  for (const [index, entry] of entries.slice(0, maxTreeRows).entries()) {
    if (index % lot === lot - 1) await nextTurn();
    const { pid, ppid, state, cpuMs } = entry;
    const { uid, memoryBytes } = readStatus(pid);
    const ageMs = Math.max(1, uptimeMs - entry.startedMs);
    tree.push({
      pid,
      ppid,
      command: commandOf(entry),
      user: users.get(uid) ?? uid,
      state,
      cpuMs,
      cpuPercent: Math.round((1_000 * cpuMs) / ageMs) / 10,
      memoryBytes,
      startedAt: Math.round(now - ageMs),
      owner: ownerOf(entry),
    });
  }
  return { tree, isTreeCut: entries.length > maxTreeRows };
}

function commandOf({ pid, name }: ProcEntry): string {
  const line = readProcFile(pid, 'cmdline')
    ?.slice(0, 4 * maxCommandLength)
    .replaceAll('\0', ' ')
    .trim()
    .toWellFormed();
  if (line === undefined || line === '') return `[${name}]`;
  return line.length > maxCommandLength ? `${line.slice(0, maxCommandLength - 1)}…` : line;
}

function readStatus(pid: number): { readonly uid: string; readonly memoryBytes: number } {
  const text = readProcFile(pid, 'status') ?? '';
  const uid = /^Uid:\s+(\d+)/m.exec(text)?.[1] ?? '?';
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? '0';
  return { uid, memoryBytes: Number(kibibytes) * 1024 };
}

function machineUptimeMs(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]) * 1000;
}

/** Ids to names, as the sandbox's /etc/passwd has them. */
function userNames(): ReadonlyMap<string, string> {
  let text = '';
  try {
    text = readFileSync('/etc/passwd', 'utf8').slice(0, 256 * 1024);
  } catch {
    // without it the numbers stand for themselves
  }
  const rows = text.split('\n').map((line) => line.split(':'));
  return new Map(rows.flatMap(([name, , uid]) => (name && uid ? [[uid, name.slice(0, 64)] as const] : [])));
}
