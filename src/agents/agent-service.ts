import type { Clock } from '../kernel/clock.ts';
import { orAbort } from '../kernel/deadline.ts';
import { CaissonError, toCaissonError } from '../kernel/errors.ts';
import { type AgentId, newAgentId, type UserId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { mostPendingPermissions } from '../wire/contract/journal-bounds.ts';
import type { SessionOffer } from '../wire/contract/session-offer.ts';
import { activityOf } from './activity.ts';
import type { Agent, AgentActivity, AgentLimits, Conversation } from './agent.ts';
import type { EventData } from './event.ts';
import type { EventLog } from './event-log.ts';
import type { Permission } from './permission.ts';
import { sandboxRefusal } from './owner-room.ts';
import type { AgentFilter, AgentStore, Page, PageRequest, Quotas, Sandboxes } from './ports.ts';
import { quotaExceeded } from './quota-exceeded.ts';
import type { Run } from './run.ts';
import type { RunExecutor } from './run-executor.ts';
import type { RunWaiters } from './run-waiters.ts';

interface AgentServiceDependencies {
  readonly store: AgentStore;
  readonly log: EventLog;
  readonly executor: RunExecutor;
  readonly waiters: RunWaiters;
  readonly sandboxes: Sandboxes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly quotas: Quotas;
}

/** Between two attempts to finish a deletion. */
const retryDeletionMs = 30_000;

interface NewAgent {
  readonly ownerId: UserId;
  readonly name: string;
  readonly harness: string;
  readonly model: string | null;
  readonly provider: string;
  readonly limits: AgentLimits;
}

/** Everything that a client needs to show an agent; `seq` is where to subscribe from. */
export interface AgentSnapshot {
  readonly agent: Agent;
  readonly activity: AgentActivity;
  readonly seq: number;
  /** The modes and models that there are to choose, as the last session told; null before the first. */
  readonly offer: SessionOffer | null;
  /** The newest 50 open and closed ones. */
  readonly conversations: readonly Conversation[];
  readonly activeRuns: readonly Run[];
  /** The oldest that fit into a page of 100; there are more only where they are very large. */
  readonly pendingPermissions: readonly Permission[];
}

/** Numbers of agents. */
interface SandboxTally {
  readonly starting: number;
  /** With a guest that can be reached right now. */
  readonly running: number;
  /** Should be running, and cannot be reached: it is being looked for. */
  readonly unattached: number;
  readonly stopped: number;
  /** The last start failed. */
  readonly failed: number;
}

type QuotaCrossed = Omit<Extract<EventData, { type: 'quota.changed' }>, 'type'>;
/** What the way out of a sandbox has to tell. */
export type EgressEvent = Extract<EventData, { type: `egress.${string}` }>;

type WorkspaceRestored = Omit<Extract<EventData, { type: 'workspace.restored' }>, 'type'>;

export class AgentService {
  readonly #dependencies: AgentServiceDependencies;
  readonly #deletions = new Map<AgentId, Promise<void>>();

  constructor(dependencies: AgentServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Stores the agent and answers; its sandbox is brought up in the background, and again on the next message should that
   * fail. Where the owner's quotas have no room for one more sandbox, it is left for later. Errors: NAME_TAKEN,
   * QUOTA_EXCEEDED for one agent too many, or a full disk; neither changes anything.
   */
  async create(request: NewAgent): Promise<Agent> {
    const { log, clock, quotas, logger, sandboxes } = this.#dependencies;
    const now = clock.now();
    const limits = await quotas.limitsOf(request.ownerId);
    const spent = await quotas.refusalForAgent(request.ownerId);
    if (spent !== undefined) throw spent;
    const wanted: Agent = {
      ...request,
      id: newAgentId(),
      createdAt: now,
      deleting: false,
      sandbox: { state: 'starting' },
    };
    const agent = await log.write(wanted.id, async (tx, record) => {
      if ((await tx.findAgentByName(wanted.ownerId, wanted.name)) !== undefined) {
        throw new CaissonError('NAME_TAKEN', `You already have an agent called ${wanted.name}.`);
      }
      const used = limits.agents === null ? 0 : await tx.countAgents(wanted.ownerId);
      if (limits.agents !== null && used >= limits.agents) {
        const hint = 'Delete what you no longer need, or ask an administrator for more.';
        throw quotaExceeded({ dimension: 'agents', limit: limits.agents, used, asked: 1, hint });
      }
      const refusal = await sandboxRefusal(tx, wanted, limits);
      const agent: Agent =
        refusal === undefined ? wanted : { ...wanted, sandbox: { state: 'stopped', reason: refusal.message } };
      await tx.insertAgent(agent);
      record({ conversationId: null, runId: null, at: now, data: { type: 'agent.created', name: agent.name } });
      return agent;
    });
    if (agent.sandbox.state !== 'starting') return agent;
    sandboxes.ensureGuest(agent).catch((error: unknown) => {
      logger.warn(
        { agentId: agent.id, code: toCaissonError(error).code, err: error },
        'a new agent has no sandbox yet',
      );
    });
    return agent;
  }

  /** Waits for the agent's sandbox. Rejects with what kept it from starting. */
  async whenReady(id: AgentId, signal: AbortSignal): Promise<Agent> {
    const agent = await this.get(id);
    await orAbort(this.#dependencies.sandboxes.ensureGuest(agent), signal);
    return await this.get(id);
  }

  async get(id: AgentId): Promise<Agent> {
    const agent = await this.#dependencies.store.findAgent(id);
    if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${id}.`);
    return agent;
  }

  async findByName(ownerId: UserId, name: string): Promise<Agent | undefined> {
    return await this.#dependencies.store.findAgentByName(ownerId, name);
  }

  async list(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>> {
    return await this.#dependencies.store.listAgents(filter, page);
  }

  /** How many agents there are by the state of their sandbox, as one looks at them page by page. */
  async sandboxTally(filter: AgentFilter): Promise<SandboxTally> {
    const { store, sandboxes } = this.#dependencies;
    const tally = { starting: 0, running: 0, unattached: 0, stopped: 0, failed: 0 };
    for (let cursor: string | null = null; ;) {
      const { items, nextCursor }: Page<Agent> = await store.listAgents(filter, { limit: 200, cursor });
      for (const { id, sandbox } of items) {
        const isLost = sandbox.state === 'running' && sandboxes.currentGuest(id) === undefined;
        tally[isLost ? 'unattached' : sandbox.state]++;
      }
      if (nextCursor === null) return tally;
      cursor = nextCursor;
    }
  }

  async snapshot(id: AgentId): Promise<AgentSnapshot> {
    const { store } = this.#dependencies;
    // `seq` is read first: an event that comes while the rest is read is then told twice rather than never.
    const { last: seq } = await store.eventBounds(id);
    const agent = await this.get(id);
    const activeRuns = await store.listActiveRuns(id);
    const { items: conversations } = await store.listConversations(id, { limit: 50, cursor: null });
    const { items: pendingPermissions } = await store.listPendingPermissions(
      { agentId: id },
      { limit: mostPendingPermissions, cursor: null },
    );
    const offer = (await store.findSessionOffer(id)) ?? null;
    return {
      agent,
      activity: activityOf(agent, activeRuns),
      seq,
      offer,
      conversations,
      activeRuns,
      pendingPermissions,
    };
  }

  /** An agent that is gone meanwhile has no log for it. */
  async recordEgress(id: AgentId, data: EgressEvent): Promise<void> {
    await this.#recordOfAgent(id, data);
  }

  /** Records that files of the workspace were put back; an agent that is gone meanwhile has no log for it. */
  async workspaceRestored(id: AgentId, restored: WorkspaceRestored): Promise<void> {
    await this.#recordOfAgent(id, { type: 'workspace.restored', ...restored });
  }

  async #recordOfAgent(id: AgentId, data: EventData): Promise<void> {
    const { log, clock } = this.#dependencies;
    await log.write(id, async (tx, record) => {
      if ((await tx.findAgent(id)) === undefined) return;
      record({ conversationId: null, runId: null, at: clock.now(), data });
    });
  }

  /** Records that use by this agent has taken a quota past a mark; an agent that is gone meanwhile has no log for it. */
  async quotaCrossed(id: AgentId, crossing: QuotaCrossed): Promise<void> {
    const { log, clock } = this.#dependencies;
    await log.write(id, async (tx, record) => {
      if ((await tx.findAgent(id)) === undefined) return;
      const data = { type: 'quota.changed' as const, ...crossing };
      record({ conversationId: null, runId: null, at: clock.now(), data });
    });
  }

  /**
   * Resolves when no sandbox, volume or row of the agent is left. Idempotent: a missing agent is no error. Once begun it
   * goes on by itself, also after a restart. Errors: PROVIDER_UNAVAILABLE; the agent then stays `deleting` until it is done.
   */
  delete(id: AgentId): Promise<void> {
    const deletion =
      this.#deletions.get(id) ??
      this.#delete(id)
        .catch((thrown: unknown) => {
          this.#deleteLater(id);
          throw thrown;
        })
        .finally(() => {
          this.#deletions.delete(id);
        });
    this.#deletions.set(id, deletion);
    return deletion;
  }

  /** What has begun is finished, whether or not anybody asks again. */
  #deleteLater(id: AgentId): void {
    const { clock, executor, logger } = this.#dependencies;
    clock.schedule(retryDeletionMs, () => {
      if (executor.draining) return;
      this.delete(id).catch((thrown: unknown) => {
        logger.warn(
          { agentId: id, code: toCaissonError(thrown).code, err: thrown },
          'a deletion could not be finished yet',
        );
      });
    });
  }

  async #delete(id: AgentId): Promise<void> {
    const { store, log, sandboxes, executor, waiters } = this.#dependencies;
    const agent = await store.findAgent(id);
    if (agent === undefined) return;
    await store.transaction(async (tx) => {
      await tx.setAgentDeleting(id);
    });
    executor.abandon(id);
    waiters.agentDeleted(id);
    await sandboxes.destroy(agent);
    await store.transaction(async (tx) => {
      await tx.deleteAgent(id);
    });
    log.close(id);
    waiters.agentDeleted(id);
    executor.roomFreed(agent.ownerId);
  }
}
