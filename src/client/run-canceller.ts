import { CaissonError } from '../kernel/errors.ts';
import type { Calls } from './calls.ts';
import { insist } from './insist.ts';

/**
 * Cancels a run, once, when the caller's signal aborts. Close it when the run is over. (No `using` in the client: not
 * every browser has Symbol.dispose.)
 */
export class RunCanceller {
  readonly #failure = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #cancel: () => void;

  constructor(client: Pick<Calls, 'runs'>, runId: string, caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#cancel = () => {
      insist(() => client.runs.cancel.mutate({ runId })).catch((thrown: unknown) => {
        const hasEnded = thrown instanceof CaissonError && thrown.code === 'RUN_ENDED';
        if (!hasEnded) this.#failure.abort(thrown);
      });
    };
    if (caller?.aborted === true) this.#cancel();
    else caller?.addEventListener('abort', this.#cancel, { once: true });
  }

  /** Aborts with the error when the run could not be cancelled. */
  get failed(): AbortSignal {
    return this.#failure.signal;
  }

  close(): void {
    this.#caller?.removeEventListener('abort', this.#cancel);
  }
}
