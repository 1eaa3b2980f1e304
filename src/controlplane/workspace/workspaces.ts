import type { Agent } from '../../agents/agent.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { Access } from '../auth/access.ts';
import type { Principal } from '../auth/identity.ts';

interface WorkspacesOptions {
  readonly access: Pick<Access, 'agent'>;
  readonly guests: {
    ensureClient(agent: Agent): Promise<GuestClient>;
    findClient(agent: Agent): Promise<GuestClient | undefined>;
  };
}

/**
 * The one way from a caller to the inside of an agent's sandbox: files, processes, terminals, ports. All methods reject
 * with AGENT_NOT_FOUND for an agent that the caller may not use, and with the signal's reason when it has aborted before
 * the guest is there: for a caller who has left, or whose key was revoked meanwhile, nothing is begun.
 */
export class Workspaces {
  readonly #options: WorkspacesOptions;

  constructor(options: WorkspacesOptions) {
    this.#options = options;
  }

  /** The agent's guest; its sandbox is brought up where needed. Rejects with what kept it from starting. */
  async open(principal: Principal, agentId: AgentId, signal: AbortSignal | undefined): Promise<GuestClient> {
    const agent = await this.#options.access.agent(principal, agentId);
    const guest = await this.#options.guests.ensureClient(agent);
    signal?.throwIfAborted();
    return guest;
  }

  /** The agent's guest as it is; undefined where the sandbox does not run. */
  async find(
    principal: Principal,
    agentId: AgentId,
    signal: AbortSignal | undefined,
  ): Promise<GuestClient | undefined> {
    const agent = await this.#options.access.agent(principal, agentId);
    const guest = await this.#options.guests.findClient(agent);
    signal?.throwIfAborted();
    return guest;
  }

  /** The same for what makes no sense in a sandbox that was not running: else SANDBOX_NOT_RUNNING. */
  async running(principal: Principal, agentId: AgentId, signal: AbortSignal | undefined): Promise<GuestClient> {
    const guest = await this.find(principal, agentId, signal);
    if (guest === undefined) throw new CaissonError('SANDBOX_NOT_RUNNING', `The sandbox of ${agentId} is not running.`);
    return guest;
  }
}
