/**
 * Of one sandbox against its limit. `unknown`: not measured yet. `near`: 80 % are taken. `full`: all of it; nothing more is
 * written through the API, and no run starts. `over`: more than the grace beyond it; what runs is stopped, and nothing can be
 * started but what makes room. `unmeasured`: it could not be measured in time, and counts as full.
 */
export const diskStates = ['unknown', 'ok', 'near', 'full', 'over', 'unmeasured'] as const;
export type DiskState = (typeof diskStates)[number];

/** What workspace and home take, as shown to people. */
export interface DiskView {
  readonly state: DiskState;
  /** Blocks that are allocated. Null: not measured yet. */
  readonly usedBytes: number | null;
  /** Null: no limit. */
  readonly limitBytes: number | null;
  /** How it was measured. */
  readonly method: string | null;
  /** Milliseconds since the epoch. */
  readonly measuredAt: number | null;
}

export const nearShare = 0.8;

const mebibyte = 1024 ** 2;

/**
 * How far beyond a limit a sandbox may get before it is stopped: a tenth of the limit, at least 16 MiB and at most 256 MiB. What
 * runs in it cannot be told that the disk is full, and should not die of a file too much.
 */
export function graceOf(limitBytes: number): number {
  return Math.min(256 * mebibyte, Math.max(16 * mebibyte, Math.floor(limitBytes / 10)));
}

export function stateOf(usedBytes: number, limitBytes: number | null): DiskState {
  if (limitBytes === null || usedBytes < limitBytes * nearShare) return 'ok';
  if (usedBytes < limitBytes) return 'near';
  return usedBytes <= limitBytes + graceOf(limitBytes) ? 'full' : 'over';
}

/** Whether nothing more may be written. */
export function isSpent(state: DiskState): boolean {
  return state === 'full' || state === 'over' || state === 'unmeasured';
}
