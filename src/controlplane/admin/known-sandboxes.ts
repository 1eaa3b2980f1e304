import type { Agent } from '../../agents/agent.ts';
import type { AgentStore, Page, PageRequest } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, UserId } from '../../kernel/ids.ts';
import type { Sandbox, SandboxLoad, SandboxProvider, SandboxState } from '../../sandbox-providers/contract/index.ts';
import type { IdentityStore } from '../auth/identity.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import type { DiskView } from '../disk/disk-state.ts';

/** A sandbox as its provider has it, with whose it is. */
export interface KnownSandbox {
  readonly agentId: AgentId;
  /** Null: an orphan, whose agent is gone. It is removed by itself within 5 min. */
  readonly agent: {
    readonly name: string;
    readonly owner: { readonly id: UserId; readonly name: string };
    /** What the control plane has stored of it. */
    readonly state: Agent['sandbox']['state'];
    readonly limits: Agent['limits'];
    readonly disk: DiskView;
  } | null;
  readonly provider: string;
  readonly providerId: string;
  readonly image: string;
  readonly state: SandboxState;
  /** Milliseconds since the epoch: when it was made. */
  readonly createdAt: number;
  /** What it takes at the moment; null where it does not run, or was not asked for. */
  readonly load: SandboxLoad | null;
}

interface KnownSandboxesOptions {
  readonly provider: Pick<SandboxProvider, 'name' | 'list' | 'find' | 'stop' | 'destroy' | 'load'>;
  readonly agents: Pick<AgentStore, 'findAgent'>;
  readonly identities: Pick<IdentityStore, 'findUser'>;
  readonly disks: Pick<DiskBook, 'view' | 'measureAgain'>;
  /** Stops the sandbox of an agent, for a reason that its log tells. */
  readonly stop: (agentId: AgentId, reason: string) => Promise<void>;
  /** The same, and removes it: nothing starts it in between. */
  readonly remove: (agentId: AgentId, reason: string) => Promise<void>;
}

/** Sandboxes whose load is asked for at the same time: each takes the engine a second. */
const loadsAtOnce = 16;

/** All sandboxes of all owners, and those of nobody, as administrators see them. */
export class KnownSandboxes {
  readonly #options: KnownSandboxesOptions;

  constructor(options: KnownSandboxesOptions) {
    this.#options = options;
  }

  /** The newest agents first. With `isLoaded`, which takes some seconds, what those that run take at the moment. */
  async list(
    { limit, cursor }: PageRequest,
    filter: { readonly onlyRunning: boolean; readonly isLoaded: boolean },
    signal?: AbortSignal,
  ): Promise<Page<KnownSandbox>> {
    const all = (await this.#options.provider.list())
      .filter(({ state }) => !filter.onlyRunning || state === 'running')
      .toSorted((one, other) => (one.agentId < other.agentId ? 1 : -1));
    const rest = cursor === null ? all : all.filter(({ agentId }) => agentId < cursor);
    const page = rest.slice(0, limit);
    const loads = filter.isLoaded ? await this.#loads(page, signal) : new Map<AgentId, SandboxLoad>();
    const items: KnownSandbox[] = [];
    for (const sandbox of page) items.push(await this.#known(sandbox, loads.get(sandbox.agentId) ?? null));
    return { items, nextCursor: rest.length > limit ? (page.at(-1)?.agentId ?? null) : null };
  }

  /** Ends what runs in it; its files stay. False where there is none. */
  async stop(agentId: AgentId, by: string): Promise<boolean> {
    const { provider, agents, stop } = this.#options;
    if ((await provider.find(agentId)) === undefined) return false;
    if ((await agents.findAgent(agentId)) === undefined) await provider.stop(agentId);
    else await stop(agentId, `It was stopped by the administrator ${by}.`);
    return true;
  }

  /**
   * Removes it with its workspace and home. Its agent stays, with all that was said, and gets a new and empty one when it is
   * needed. False where there is none. Errors: AGENT_DELETING.
   */
  async destroy(agentId: AgentId, by: string): Promise<boolean> {
    const { provider, agents, disks, remove } = this.#options;
    if ((await provider.find(agentId)) === undefined) return false;
    const agent = await agents.findAgent(agentId);
    if (agent?.deleting === true) throw new CaissonError('AGENT_DELETING', `Agent ${agent.name} is being deleted.`);
    if (agent === undefined) await provider.destroy(agentId);
    else {
      await remove(agentId, `It was removed, with its files, by the administrator ${by}.`);
      await disks.measureAgain(agentId);
    }
    return true;
  }

  async #known(sandbox: Sandbox, load: SandboxLoad | null): Promise<KnownSandbox> {
    const { provider, agents, identities, disks } = this.#options;
    const { agentId, providerId, image, state, createdAt } = sandbox;
    const shown = { agentId, provider: provider.name, providerId, image, state, createdAt, load };
    const agent = await agents.findAgent(agentId);
    if (agent === undefined) return { ...shown, agent: null };
    const { name, ownerId, limits } = agent;
    const owner = { id: ownerId, name: (await identities.findUser(ownerId))?.name ?? ownerId };
    const of = { name, owner, state: agent.sandbox.state, limits, disk: disks.view(agent) };
    return { ...shown, agent: of };
  }

  async #loads(sandboxes: readonly Sandbox[], signal: AbortSignal | undefined): Promise<Map<AgentId, SandboxLoad>> {
    const loads = new Map<AgentId, SandboxLoad>();
    const waiting = sandboxes.filter(({ state }) => state === 'running');
    const askNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const load = await this.#options.provider.load(next.agentId, signal);
        if (load !== undefined) loads.set(next.agentId, load);
      }
    };
    await Promise.all(Array.from({ length: loadsAtOnce }, askNext));
    return loads;
  }
}
