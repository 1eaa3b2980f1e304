import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ProcessId } from '../../kernel/ids.ts';
import type { ProcEntry } from './proc.ts';

/**
 * In the environment of each process that a caller starts, and so of all that it starts: its id. By it a process is still
 * found that has made a session of its own and whose parent has gone. One that clears its environment is not.
 */
const variable = 'CAISSON_PROCESS_ID';

/** What is read of an environment, and how many between two turns of the event loop. */
const longestBytes = 64 * 1024;
const lot = 32;

export function markOf(id: ProcessId): string {
  return `${variable}=${id}`;
}

export function markVariable(id: ProcessId): Readonly<Record<string, string>> {
  return { [variable]: id };
}

/** Those that bear the mark among the processes that were left to init. */
export async function markedOrphans(mark: string, entries: readonly ProcEntry[]): Promise<ProcEntry[]> {
  const environment = Buffer.allocUnsafe(longestBytes);
  const marked: ProcEntry[] = [];
  const orphans = entries.filter(({ ppid }) => ppid === 1);
  for (const [index, entry] of orphans.entries()) {
    if (index % lot === lot - 1) await nextTurn();
    if (readEnvironment(entry.pid, environment).includes(mark)) marked.push(entry);
  }
  return marked;
}

function readEnvironment(pid: number, into: Buffer): Buffer {
  try {
    const fd = openSync(`/proc/${pid}/environ`, 'r');
    try {
      return into.subarray(0, readSync(fd, into));
    } finally {
      closeSync(fd);
    }
  } catch {
    return into.subarray(0, 0); // it ended meanwhile, or belongs to another user
  }
}
