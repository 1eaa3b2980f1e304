import type { Agent } from '../../agents/agent.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { Access, Demand } from '../auth/access.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import { type AgentLevel, isAtLeast } from '../auth/needs.ts';

interface WorkspacesOptions {
  readonly access: Pick<Access, 'grant'>;
  readonly guests: {
    ensureClient(agent: Agent): Promise<GuestClient>;
    findClient(agent: Agent): Promise<GuestClient | undefined>;
  };
  readonly disks: Pick<DiskBook, 'requireRoom' | 'requireNotOver'>;
}

type Granted = Awaited<ReturnType<Access['grant']>>;

/**
 * The one way from a caller to the inside of an agent's sandbox: files, processes, terminals, ports. All methods reject
 * with AGENT_NOT_FOUND for an agent that the caller may not see, with FORBIDDEN for what it may not do there, and with the
 * signal's reason when it has aborted before the guest is there: for a caller who has left, or whose key was revoked
 * meanwhile, nothing is begun.
 */
export class Workspaces {
  readonly #options: WorkspacesOptions;

  constructor(options: WorkspacesOptions) {
    this.#options = options;
  }

  /**
   * The agent's guest; its sandbox is brought up where needed. Rejects with what kept it from starting; with
   * SANDBOX_NOT_RUNNING for those who may only look, and start nothing.
   */
  async open(demand: Demand, agentId: AgentId, signal: AbortSignal | undefined): Promise<GuestClient> {
    return await this.#reachInto(await this.#options.access.grant(demand, agentId), signal);
  }

  /** As `open`, for what writes: `bytes` at least, where that is known. Rejects with QUOTA_EXCEEDED where the disk has no room. */
  async openToWrite(
    demand: Demand,
    agentId: AgentId,
    signal: AbortSignal | undefined,
    bytes = 0,
  ): Promise<GuestClient> {
    const granted = await this.#options.access.grant(demand, agentId);
    await this.#options.disks.requireRoom(granted.agent, bytes);
    return await this.#reachInto(granted, signal);
  }

  /**
   * As `open`, for what starts something that may write by itself. Rejects with QUOTA_EXCEEDED where the sandbox was stopped for
   * going on beyond its disk, and no room was made since.
   */
  async openToRun(demand: Demand, agentId: AgentId, signal: AbortSignal | undefined): Promise<GuestClient> {
    const granted = await this.#options.access.grant(demand, agentId);
    await this.#options.disks.requireNotOver(granted.agent);
    return await this.#reachInto(granted, signal);
  }

  /** The agent's guest as it is; undefined where the sandbox does not run. */
  async find(demand: Demand, agentId: AgentId, signal: AbortSignal | undefined): Promise<GuestClient | undefined> {
    const { agent } = await this.#options.access.grant(demand, agentId);
    const guest = await this.#options.guests.findClient(agent);
    signal?.throwIfAborted();
    return guest;
  }

  /** The same for what makes no sense in a sandbox that was not running: else SANDBOX_NOT_RUNNING. */
  async running(demand: Demand, agentId: AgentId, signal: AbortSignal | undefined): Promise<GuestClient> {
    return (await this.reach(demand, agentId, signal)).guest;
  }

  /** As `running`, with what the caller may do there. */
  async reach(
    demand: Demand,
    agentId: AgentId,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly guest: GuestClient; readonly level: AgentLevel }> {
    const { agent, level } = await this.#options.access.grant(demand, agentId);
    const guest = await this.#options.guests.findClient(agent);
    signal?.throwIfAborted();
    return { guest: guest ?? notRunning(agentId), level };
  }

  async #reachInto({ agent, level }: Granted, signal: AbortSignal | undefined): Promise<GuestClient> {
    const { guests } = this.#options;
    const guest = isAtLeast(level, 'use') ? await guests.ensureClient(agent) : await guests.findClient(agent);
    signal?.throwIfAborted();
    return guest ?? notRunning(agent.id);
  }
}

function notRunning(agentId: AgentId): never {
  throw new CaissonError('SANDBOX_NOT_RUNNING', `The sandbox of ${agentId} is not running.`);
}
