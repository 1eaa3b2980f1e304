import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ProcessId } from '../../kernel/ids.ts';
import type { ProcEntry } from './proc.ts';

/**
 * In the environment of each process that a caller starts, and so of all that it starts: its id. By it a process is still
 * found that has made a session of its own and whose parent has gone. One that clears its environment is not.
 */
const variable = 'CAISSON_PROCESS_ID';

/** What is read of an environment at a time, and how often between two turns of the event loop. */
const pieceBytes = 64 * 1024;
const lot = 32;
/** A program is started with no more than this in arguments and environment, whatever its limits are. */
const longestBytes = 6 * 1024 * 1024;

export function markOf(id: ProcessId): string {
  return `${variable}=${id}`;
}

export function markVariable(id: ProcessId): Readonly<Record<string, string>> {
  return { [variable]: id };
}

/**
 * Those that bear the mark among the processes that were left to init. It stands anywhere in an environment: a shell orders
 * that anew.
 */
export async function markedOrphans(mark: string, entries: readonly ProcEntry[]): Promise<ProcEntry[]> {
  const piece = Buffer.allocUnsafe(pieceBytes);
  const marked: ProcEntry[] = [];
  let reads = 0;
  for (const entry of entries) {
    if (entry.ppid !== 1) continue;
    for (let at = 0; at < longestBytes; at += pieceBytes - mark.length) {
      if (++reads % lot === 0) await nextTurn();
      const read = readEnvironment(entry.pid, at, piece);
      const isMarked = read.includes(mark);
      if (isMarked) marked.push(entry);
      if (isMarked || read.length < pieceBytes) break;
    }
  }
  return marked;
}

function readEnvironment(pid: number, at: number, into: Buffer): Buffer {
  try {
    const fd = openSync(`/proc/${pid}/environ`, 'r');
    try {
      return into.subarray(0, readSync(fd, into, 0, into.length, at));
    } finally {
      closeSync(fd);
    }
  } catch {
    return into.subarray(0, 0); // it ended meanwhile, or belongs to another user
  }
}
