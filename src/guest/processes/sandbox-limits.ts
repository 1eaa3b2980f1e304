import { readFileSync } from 'node:fs';
import type { ProcessList } from '../../wire/contract/processes.ts';

type Limits = Omit<ProcessList['limits'], 'processes'>;

/** What the sandbox uses of its limits, as its control group has it: version 2 of them, or 1. */
export function readSandboxLimits(): Limits {
  return {
    pids: {
      used: firstNumber(['pids.current', 'pids/pids.current']) ?? 0,
      most: firstNumber(['pids.max', 'pids/pids.max']),
    },
    memoryBytes: {
      used: firstNumber(['memory.current', 'memory/memory.usage_in_bytes']) ?? 0,
      most: firstNumber(['memory.max', 'memory/memory.limit_in_bytes']),
    },
  };
}

function firstNumber(names: readonly string[]): number | null {
  for (const name of names) {
    const value = Number(read(`/sys/fs/cgroup/${name}`));
    // Version 1 says "no limit" with a number that no machine has.
    if (Number.isSafeInteger(value)) return value;
  }
  return null;
}

/** NaN is what becomes of `max`, and of what is not there. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim() || 'none';
  } catch {
    return 'none'; // the other version, or no control groups at all
  }
}
