import type { RunId, UserId } from '../kernel/ids.ts';

interface Waiter {
  readonly called: Promise<void>;
  readonly call: () => void;
}

/** A place in the queue of an owner. */
interface Place {
  readonly isFirst: boolean;
  /** Resolves when it is this run's turn to look again. Never rejects. */
  readonly called: Promise<void>;
}

/**
 * Runs that wait for room for a sandbox: of each owner in the order of their acceptance, and each called only when all
 * before it have left. Enter first, then look whether there is room: what becomes free in between is then not missed. It
 * holds no more than the runs that are not over.
 */
export class RoomQueue {
  readonly #owners = new Map<UserId, Map<RunId, Waiter>>();

  /** A run that is in the queue keeps its place. */
  enter(ownerId: UserId, runId: RunId): Place {
    const waiting = this.#owners.get(ownerId) ?? new Map<RunId, Waiter>();
    this.#owners.set(ownerId, waiting);
    const { promise: called, resolve: call } = Promise.withResolvers<void>();
    waiting.set(runId, { called, call });
    return { isFirst: firstOf(waiting) === runId, called };
  }

  /** It has its room, or needs none any more: the next one is called. */
  leave(runId: RunId): void {
    for (const [ownerId, waiting] of this.#owners) {
      if (!waiting.delete(runId)) continue;
      if (waiting.size === 0) this.#owners.delete(ownerId);
      else this.freed(ownerId);
    }
  }

  /** There may be room again: calls the first. */
  freed(ownerId: UserId): void {
    const waiting = this.#owners.get(ownerId);
    const first = waiting && firstOf(waiting);
    if (first !== undefined) waiting?.get(first)?.call();
  }

  /** As `freed`, for every owner. */
  freedForAll(): void {
    for (const ownerId of this.#owners.keys()) this.freed(ownerId);
  }

  /** Calls this run, wherever it stands: it is over. */
  recall(runId: RunId): void {
    for (const waiting of this.#owners.values()) waiting.get(runId)?.call();
  }

  /** Whether anybody waits. */
  get isEmpty(): boolean {
    return this.#owners.size === 0;
  }
}

/** Ids sort by the time at which they were made. */
function firstOf(waiting: ReadonlyMap<RunId, Waiter>): RunId | undefined {
  let first: RunId | undefined;
  for (const id of waiting.keys()) if (first === undefined || id < first) first = id;
  return first;
}
