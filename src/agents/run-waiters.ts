import { CaissonError } from '../kernel/errors.ts';
import type { AgentId, RunId } from '../kernel/ids.ts';

interface Waiter {
  readonly agentId: AgentId;
  readonly settle: (error?: Error) => void;
}

/** People and lanes that wait for the end of a run. Each settles: with the end, with its signal, or with the agent's deletion. */
export class RunWaiters {
  readonly #waiting = new Map<RunId, Set<Waiter>>();

  /**
   * Resolves with true once the run is over, with false when `signal` aborts first. Register first, then look whether the
   * run is over already. Rejects with AGENT_NOT_FOUND when the agent is deleted.
   */
  ended(run: { readonly id: RunId; readonly agentId: AgentId }, signal?: AbortSignal): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const waiters = this.#waiting.get(run.id) ?? new Set();
    this.#waiting.set(run.id, waiters);
    const leave = (): void => {
      signal?.removeEventListener('abort', giveUp);
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiting.get(run.id) === waiters) this.#waiting.delete(run.id);
    };
    const waiter: Waiter = {
      agentId: run.agentId,
      settle: (error) => {
        leave();
        if (error === undefined) resolve(true);
        else reject(error);
      },
    };
    const giveUp = (): void => {
      leave();
      resolve(false);
    };
    waiters.add(waiter);
    if (signal?.aborted) giveUp();
    else signal?.addEventListener('abort', giveUp, { once: true });
    return promise;
  }

  runEnded(runId: RunId): void {
    for (const waiter of this.#waiting.get(runId) ?? []) waiter.settle();
  }

  agentDeleted(agentId: AgentId): void {
    const error = new CaissonError('AGENT_NOT_FOUND', `Agent ${agentId} was deleted.`);
    for (const waiters of this.#waiting.values()) {
      for (const waiter of waiters) if (waiter.agentId === agentId) waiter.settle(error);
    }
  }
}
