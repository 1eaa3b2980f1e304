import type { Agent, Conversation } from '../../agents/agent.ts';
import type { Permission } from '../../agents/permission.ts';
import type { AgentStore, Access as RunAccess } from '../../agents/ports.ts';
import type { Run } from '../../agents/run.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, ConversationId, PermissionId, RunId, UserId } from '../../kernel/ids.ts';
import type { IdentityStore, Principal } from './identity.ts';

interface AccessOptions {
  readonly agents: Pick<AgentStore, 'findAgent' | 'findConversation' | 'findRun' | 'findPermission'>;
  readonly identities: Pick<IdentityStore, 'findUser' | 'liveRole'>;
}

/** An agent with its owner as people know it. */
type OwnedAgent = Agent & { readonly ownerName: string };

/**
 * The one place that decides who may see and use what. Administrators may use every agent, members their own;
 * conversations, runs and permissions follow their agent. What a caller may not see does not exist for it: each method
 * throws the same NOT_FOUND error for it as for an id that never was.
 */
export class Access implements RunAccess {
  readonly #agents: AccessOptions['agents'];
  readonly #identities: AccessOptions['identities'];

  constructor({ agents, identities }: AccessOptions) {
    this.#agents = agents;
    this.#identities = identities;
  }

  /** Whose agents a listing may show: null stands for everyone's. */
  visibleOwner(principal: Principal): UserId | null {
    return principal.role === 'admin' ? null : principal.userId;
  }

  async agent(principal: Principal, id: AgentId): Promise<Agent> {
    const agent = await this.#visibleAgent(principal, id);
    if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${id}.`);
    return agent;
  }

  /** With the names of their owners, each looked up once. */
  async withOwners(agents: readonly Agent[]): Promise<OwnedAgent[]> {
    const names = new Map<UserId, string>();
    for (const { ownerId } of agents) {
      if (!names.has(ownerId)) names.set(ownerId, (await this.#identities.findUser(ownerId))?.name ?? ownerId);
    }
    return agents.map((agent) => ({ ...agent, ownerName: names.get(agent.ownerId) ?? agent.ownerId }));
  }

  async withOwner(agent: Agent): Promise<OwnedAgent> {
    const user = await this.#identities.findUser(agent.ownerId);
    return { ...agent, ownerName: user?.name ?? agent.ownerId };
  }

  async conversation(principal: Principal, id: ConversationId): Promise<Conversation> {
    const conversation = await this.#agents.findConversation(id);
    if (conversation === undefined || (await this.#visibleAgent(principal, conversation.agentId)) === undefined) {
      throw new CaissonError('CONVERSATION_NOT_FOUND', `There is no conversation ${id}.`);
    }
    return conversation;
  }

  /** A conversation that must be one of this agent. */
  async conversationOf(principal: Principal, agentId: AgentId, id: ConversationId): Promise<Conversation> {
    await this.agent(principal, agentId);
    const conversation = await this.#agents.findConversation(id);
    if (conversation?.agentId !== agentId) {
      throw new CaissonError('CONVERSATION_NOT_FOUND', `Agent ${agentId} has no conversation ${id}.`);
    }
    return conversation;
  }

  async run(principal: Principal, id: RunId): Promise<Run> {
    const run = await this.#agents.findRun(id);
    if (run === undefined || (await this.#visibleAgent(principal, run.agentId)) === undefined) {
      throw new CaissonError('RUN_NOT_FOUND', `There is no run ${id}.`);
    }
    return run;
  }

  async permission(principal: Principal, id: PermissionId): Promise<Permission> {
    const permission = await this.#agents.findPermission(id);
    if (permission === undefined || (await this.#visibleAgent(principal, permission.agentId)) === undefined) {
      throw new CaissonError('PERMISSION_NOT_FOUND', `There is no permission request ${id}.`);
    }
    return permission;
  }

  /** Whether a user may still run an agent: it has a key that is not revoked, and may see the agent. */
  async mayRun(principalId: UserId, agent: Agent): Promise<boolean> {
    const role = await this.#identities.liveRole(principalId);
    return role === 'admin' || (role === 'member' && agent.ownerId === principalId);
  }

  async #visibleAgent(principal: Principal, id: AgentId): Promise<Agent | undefined> {
    const agent = await this.#agents.findAgent(id);
    return principal.role === 'admin' || agent?.ownerId === principal.userId ? agent : undefined;
  }
}
