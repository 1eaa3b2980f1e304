import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

const looksEveryMs = 250;
/** So many looks in a row within this much of each other are taken for rest. */
const steadyLooks = 8;
const steadyBytes = 256 * 1024;
const mostLooks = 60;

/** Resident memory of a process, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`process ${pid} has no resident memory`);
  return Number(kibibytes) * 1024;
}

/** The same once it has come to rest for 2 s, or after 15 s. */
export async function settledBytes(pid: number): Promise<number> {
  let steady = 0;
  let last = await residentBytes(pid);
  for (let look = 0; look < mostLooks && steady < steadyLooks; look++) {
    await pause(looksEveryMs);
    const now = await residentBytes(pid);
    steady = Math.abs(now - last) <= steadyBytes ? steady + 1 : 0;
    last = now;
  }
  return last;
}
