import { CaissonError } from '../kernel/errors.ts';
import type { UserId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import type { AgentService } from './agent-service.ts';
import type { Agent } from './agent.ts';
import type { AgentStore, Sandboxes } from './ports.ts';
import type { RunService } from './run-service.ts';
import type { Run } from './run.ts';

interface UserWorkDependencies {
  readonly store: AgentStore;
  readonly agents: AgentService;
  readonly runs: RunService;
  readonly sandboxes: Sandboxes;
  readonly logger: Logger;
}

/** What a user has under way, and leaves behind. */
export class UserWork {
  readonly #dependencies: UserWorkDependencies;

  constructor(dependencies: UserWorkDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Cancels the runs that a user started, whosever agent it is, and all runs of the user's agents; then stops the sandboxes
   * of these. A sandbox that cannot be stopped is logged, and not counted: its runs are over or canceled all the same.
   */
  async end(userId: UserId, by: UserId): Promise<{ readonly runs: number; readonly sandboxes: number }> {
    const own = await this.#dependencies.store.listOwnAgents(userId);
    const ownIds = new Set(own.map(({ id }) => id));
    const active = await this.#dependencies.store.listActiveRuns();
    const theirs = active.filter(({ startedBy, agentId }) => startedBy === userId || ownIds.has(agentId));
    const canceled = await Promise.all(theirs.map((run) => this.#cancel(run, by)));
    const stopped = await Promise.all(own.map((agent) => this.#stop(agent)));
    return { runs: canceled.filter(Boolean).length, sandboxes: stopped.filter(Boolean).length };
  }

  /** Rejects with what kept one from being deleted; its deletion goes on by itself. */
  async deleteAgents(userId: UserId): Promise<number> {
    const own = await this.#dependencies.store.listOwnAgents(userId);
    await Promise.all(own.map(({ id }) => this.#dependencies.agents.delete(id)));
    return own.length;
  }

  /** Whether it is this call that asked. */
  async #cancel({ id, cancelRequested }: Run, by: UserId): Promise<boolean> {
    try {
      await this.#dependencies.runs.cancel(id, by);
      return !cancelRequested;
    } catch (thrown) {
      if (thrown instanceof CaissonError && (thrown.code === 'RUN_ENDED' || thrown.code === 'RUN_NOT_FOUND'))
        return false;
      throw thrown;
    }
  }

  async #stop({ id, deleting, sandbox }: Agent): Promise<boolean> {
    if (deleting || sandbox.state === 'stopped' || sandbox.state === 'failed') return false;
    try {
      await this.#dependencies.sandboxes.stop(id, 'The user who owns it was disabled.');
      return true;
    } catch (err) {
      this.#dependencies.logger.error({ agentId: id, err }, 'the sandbox of a disabled user could not be stopped');
      return false;
    }
  }
}
