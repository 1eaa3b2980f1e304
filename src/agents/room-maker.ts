import { KeyedQueue } from '../kernel/keyed-queue.ts';
import { toCaissonError } from '../kernel/errors.ts';
import type { UserId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import type { Agent } from './agent.ts';
import { sandboxRefusal } from './owner-room.ts';
import type { AgentStore, AgentUp, Quotas, Sandboxes } from './ports.ts';

interface RoomMakerOptions {
  readonly store: AgentStore;
  readonly quotas: Quotas;
  /** Known only when all is put together. */
  readonly sandboxes: () => Sandboxes;
  readonly logger: Logger;
  /** Whether idle sandboxes are put to sleep. */
  readonly isOn: boolean;
}

/**
 * Makes room for a sandbox that has none, where the operator wants that: puts idle sandboxes of the same owner to sleep, the
 * one whose last run is longest ago first. Idle is one without a run that is not over, in which nothing runs but its
 * harness, and nothing listens. Its workspace and home stay. What takes the room afterwards has to ask for it all the same.
 */
export class RoomMaker {
  readonly #options: RoomMakerOptions;
  readonly #queue = new KeyedQueue<UserId>();

  constructor(options: RoomMakerOptions) {
    this.#options = options;
  }

  async makeRoom(agent: AgentUp & Pick<Agent, 'name'>): Promise<void> {
    if (!this.#options.isOn || !(await this.#lacksRoom(agent))) return;
    await this.#queue.run(agent.ownerId, async () => {
      for (const idle of await this.#oldestFirst(agent)) {
        if (!(await this.#lacksRoom(agent))) return;
        await this.#putToSleep(idle, agent);
      }
    });
  }

  async #lacksRoom(agent: AgentUp): Promise<boolean> {
    const { store, quotas } = this.#options;
    return (await sandboxRefusal(store, agent, await quotas.limitsOf(agent.ownerId))) !== undefined;
  }

  async #oldestFirst(agent: AgentUp): Promise<readonly AgentUp[]> {
    const { store } = this.#options;
    const used: { readonly up: AgentUp; readonly at: number }[] = [];
    for (const up of await store.listAgentsUp(agent.ownerId)) {
      const { items } = await store.listRuns(up.id, null, { limit: 1, cursor: null });
      used.push({ up, at: items[0]?.acceptedAt ?? 0 });
    }
    return used.toSorted((one, other) => one.at - other.at).map(({ up }) => up);
  }

  async #putToSleep({ id }: AgentUp, { name }: Pick<Agent, 'name'>): Promise<void> {
    const { store, sandboxes, logger } = this.#options;
    try {
      if ((await store.listActiveRuns(id)).length > 0 || !(await sandboxes().isIdle(id))) return;
      // From here on no run is given to this start of the sandbox: see `runsUnder` in the executor. It still counts as up.
      const isTaken = await store.transaction(async (tx) => {
        const agent = await tx.findAgent(id);
        if (agent?.sandbox.state !== 'running' || (await tx.listActiveRuns({ agentId: id })).length > 0) return false;
        await tx.setSandboxStatus(id, { state: 'starting' });
        return true;
      });
      if (isTaken) await sandboxes().stop(id, `It was idle, and is put to sleep: agent ${name} needs its room.`);
    } catch (thrown) {
      const { code } = toCaissonError(thrown);
      logger.warn({ agentId: id, code, err: thrown }, 'an idle sandbox could not be put to sleep');
    }
  }
}
