import type { Harness } from '../acp/harness.ts';
import type { RunId } from '../kernel/ids.ts';
import type { TurnStatus } from '../wire/contract/turn.ts';

interface TurnWatchOptions {
  readonly harness: Pick<Harness, 'turnStatus'>;
  /** Called for every turn that is under way, perhaps more than once. */
  readonly onStart: (runId: RunId) => void;
}

/** Knows which turns are under way, for what must not happen meanwhile. Holds as many as the harness runs at once. */
export class TurnWatch {
  readonly #options: TurnWatchOptions;
  readonly #turns = new Set<RunId>();

  constructor(options: TurnWatchOptions) {
    this.#options = options;
  }

  /** To be told of every turn that the harness took, in the same tick: before it can do anything. */
  started({ runId, state }: TurnStatus): void {
    this.active(); // forgets those that have ended
    if (state !== 'active') return;
    this.#turns.add(runId);
    this.#options.onStart(runId);
  }

  /** One that is under way. */
  active(): RunId | undefined {
    for (const runId of this.#turns) {
      if (this.#options.harness.turnStatus(runId).state !== 'active') this.#turns.delete(runId);
    }
    return this.#turns.values().next().value;
  }
}
