import type { DiskChange } from './disk-book.ts';
import { graceOf, isSpent, nearShare } from './disk-state.ts';

/** A mark that use of the disk has passed: `freed` is back below the limit. As the event `quota.changed` tells it. */
export interface DiskCrossing {
  readonly dimension: 'disk';
  readonly of: 'user' | 'agent';
  readonly mark: 'near' | 'spent' | 'freed';
  readonly limit: number;
  readonly used: number;
  readonly resetsAt: null;
}

/** Less than this is not taken for going on to write: logs of the harness grow by themselves. */
const growthBytes = 1024 ** 2;

/** What is to be told: of the agent, and of all agents of its owner. */
export function crossingsOf({ before, after, usedBytes, limitBytes, user }: DiskChange): readonly DiskCrossing[] {
  const crossings: DiskCrossing[] = [];
  const tell = (of: 'user' | 'agent', mark: DiskCrossing['mark'], limit: number, used: number): void => {
    crossings.push({ dimension: 'disk', of, mark, limit, used, resetsAt: null });
  };
  if (limitBytes !== null) {
    if (isSpent(after) && !isSpent(before)) tell('agent', 'spent', limitBytes, usedBytes);
    else if (!isSpent(after) && isSpent(before)) tell('agent', 'freed', limitBytes, usedBytes);
    else if (after === 'near' && before !== 'near') tell('agent', 'near', limitBytes, usedBytes);
  }
  const { limitBytes: limit, usedBytes: used } = user.after;
  if (limit !== null) {
    const was = (mark: number): boolean => user.before.usedBytes >= (user.before.limitBytes ?? Infinity) * mark;
    const is = (mark: number): boolean => used >= limit * mark;
    if (is(1) && !was(1)) tell('user', 'spent', limit, used);
    else if (!is(1) && was(1)) tell('user', 'freed', limit, used);
    else if (is(nearShare) && !was(nearShare)) tell('user', 'near', limit, used);
  }
  return crossings;
}

/**
 * Why a sandbox that runs must be stopped; undefined where it need not: beyond the grace of its limit when it gets there, and
 * whenever it grows on from there; beyond that of its owner when it is the one that grows.
 */
export function stopReason({ before, after, usedBytes, limitBytes, grewBytes, user }: DiskChange): string | undefined {
  const isGrowing = grewBytes > growthBytes;
  if (after === 'over' && limitBytes !== null && (before !== 'over' || isGrowing)) {
    return `It took ${text(usedBytes)} of the disk, and may take ${text(limitBytes)}. Remove files of it to use it again.`;
  }
  const { limitBytes: limit, usedBytes: used } = user.after;
  if (limit !== null && isGrowing && used > limit + graceOf(limit)) {
    return `It went on writing when the agents of its owner took ${text(used)} of the disk, and may take ${text(limit)}.`;
  }
  return undefined;
}

function text(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
}
