import type { Clock } from '../../kernel/clock.ts';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import type { RunId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { type AnyCheckpointId, changesBounds, type Checkpoint, type LeftOut } from '../../wire/contract/changes.ts';
import type { Snapshot, SnapshotTaker } from './snapshot.ts';
import type { CheckpointStore } from './store.ts';

/** Runs whose begin is remembered, so that one that is asked for again gets no second checkpoint. */
const knownRuns = 2_000;

interface RunCheckpointsOptions {
  readonly store: CheckpointStore;
  readonly taker: SnapshotTaker;
  /** One at a time of all that uses the taker. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** How long a checkpoint may take, and hold back the model's answers. */
  readonly timeoutMs: number;
  /** Called when one was taken. */
  readonly onTaken: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A checkpoint at the begin of each run, taken while the harness and the model are at work: an agent can do nothing before
 * the model has answered, so what holds the answers back until `settled` makes it a checkpoint of before the run. One that
 * takes longer than `timeoutMs` is recorded as failed, and holds back nothing any more. A harness that acts without asking
 * the guest's model endpoint, as those of tests do, is not waited for: its first changes may be in its checkpoint.
 */
export class RunCheckpoints {
  readonly #options: RunCheckpointsOptions;
  readonly #known = new Set<RunId>();
  readonly #pending = new Set<Promise<void>>();

  constructor(options: RunCheckpointsOptions) {
    this.#options = options;
  }

  /** Returns at once. A run that is known gets no second one. */
  begin(runId: RunId): void {
    if (this.#known.has(runId)) return;
    this.#known.add(runId);
    for (const oldest of this.#known) {
      if (this.#known.size <= knownRuns) break;
      this.#known.delete(oldest);
    }
    const work = this.#checkpoint(runId).catch((thrown: unknown) => {
      this.#options.logger.warn({ runId, error: errorText(thrown) }, 'a checkpoint could not be recorded');
    });
    this.#pending.add(work);
    void work.then(() => this.#pending.delete(work));
  }

  /** Undefined when no checkpoint is under way; else resolves when those that are have been taken, or given up. */
  settled(): Promise<unknown> | undefined {
    return this.#pending.size === 0 ? undefined : Promise.all(this.#pending);
  }

  async #checkpoint(runId: RunId): Promise<void> {
    const { store, taker, inTurn, timeoutMs, clock } = this.#options;
    const at = clock.now();
    let isLate = false;
    const taken = inTurn(async () => {
      // The prompt goes out first: starting a process keeps the guest from all else for some milliseconds.
      await new Promise((resolve) => setImmediate(resolve));
      await store.open();
      if (await store.has(runId)) return; // an earlier incarnation of the guest was asked
      const snapshot = await taker.take();
      if (isLate) return;
      store.write(recordOf(runId, 'run', { at, durationMs: clock.now() - at }, snapshot));
      this.#options.onTaken();
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        reject(new CaissonError('DEADLINE_EXCEEDED', `The checkpoint took longer than ${timeoutMs / 1000} s.`));
      }, timeoutMs);
    });
    try {
      taken.catch(() => undefined); // heard here, unless it is late
      await Promise.race([taken, late]);
    } catch (thrown) {
      isLate = true;
      this.#options.logger.warn({ runId, error: errorText(thrown) }, 'a run has no checkpoint');
      await store.open();
      store.write(failedRecord(runId, { at, durationMs: clock.now() - at }, thrown));
    } finally {
      clearTimeout(timer);
    }
  }
}

interface Times {
  readonly at: number;
  readonly durationMs: number;
}

export function recordOf(id: AnyCheckpointId, kind: Checkpoint['kind'], times: Times, snapshot: Snapshot) {
  const { tree, leftOut } = snapshot;
  return { checkpoint: { id, kind, ...times, failure: null, ...named(leftOut) }, tree, leftOut: [...leftOut] };
}

function failedRecord(id: AnyCheckpointId, { at, durationMs }: Times, thrown: unknown) {
  const failure = (thrown instanceof CaissonError ? thrown.message : 'Something went wrong.').slice(0, 1_000);
  const checkpoint = { id, kind: 'run' as const, at, durationMs: Math.max(0, durationMs), failure, ...named([]) };
  return { checkpoint, tree: null, leftOut: [] };
}

/** The first of them by name, and the count of all. */
export function named(leftOut: readonly LeftOut[]): { leftOut: LeftOut[]; leftOutTotal: number } {
  return { leftOut: leftOut.slice(0, changesBounds.named), leftOutTotal: leftOut.length };
}
