import type { RunId } from '../kernel/ids.ts';

/** The last runs that ended, so that asking for one again does not start it again. */
export class EndedRuns {
  readonly #runs = new Set<RunId>();
  readonly #limit: number;

  constructor(limit = 1_000) {
    this.#limit = limit;
  }

  add(runId: RunId): void {
    this.#runs.add(runId);
    const [oldest] = this.#runs;
    if (oldest !== undefined && this.#runs.size > this.#limit) this.#runs.delete(oldest);
  }

  has(runId: RunId): boolean {
    return this.#runs.has(runId);
  }
}
