import type { Agent, Conversation } from '../../agents/agent.ts';
import type { Permission } from '../../agents/permission.ts';
import type { AgentFilter, AgentStore, Access as RunAccess } from '../../agents/ports.ts';
import type { Run } from '../../agents/run.ts';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, ConversationId, PermissionId, RunId, UserId } from '../../kernel/ids.ts';
import type { IdentityStore, Principal } from './identity.ts';
import { agentLevels, type AgentLevel, covers, isAtLeast, type Need, needs, refusalOf } from './needs.ts';
import { shareLevels, type ShareStore } from './sharing.ts';

interface AccessOptions {
  readonly agents: Pick<AgentStore, 'findAgent' | 'findConversation' | 'findRun' | 'findPermission'>;
  readonly identities: Pick<IdentityStore, 'findUser' | 'liveRole'>;
  readonly shares: Pick<ShareStore, 'findShare'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Who asks, and for what: made where a request comes in, from what its procedure or route is declared to need. */
export interface Demand {
  readonly principal: Principal;
  readonly need: Need;
  /** Hears of each agent that the caller was let at. */
  readonly onGranted?: (agentId: AgentId) => void;
}

/** An agent, and what its caller may do with it. */
export interface Granted {
  readonly agent: Agent;
  /** Within the scopes of its key. */
  readonly level: AgentLevel;
}

/** An agent as people know it: with its owner, and with what the caller may do. */
type ShownAgent = Agent & { readonly ownerName: string; readonly access: AgentLevel };

/**
 * The one place that decides who may see and do what. Administrators own every agent; members their own, and view or use
 * those that are shared with them; auditors none. Conversations, runs and permissions follow their agent. The key of a caller
 * narrows all of that. What a caller may not see does not exist for it: each method throws the same NOT_FOUND error for it as
 * for an id that never was. What it may see, and not do, is FORBIDDEN.
 */
export class Access implements RunAccess {
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Throws FORBIDDEN where the caller may not do this at all, whatever it is about. */
  permit({ principal, need }: Demand): void {
    const refusal = refusalOf(principal, need);
    if (refusal === undefined) return;
    const { role, mayIssue } = principal;
    const hint =
      needs[need].issues && role === 'admin' && !mayIssue
        ? 'Use the key in `admin.key` of the data directory.'
        : 'Ask an administrator.';
    throw new CaissonError('FORBIDDEN', refusal, { hint, details: { need } });
  }

  /** Which agents a listing may show. */
  visible(demand: Demand): AgentFilter {
    this.permit(demand);
    const { role, userId, agents: among } = demand.principal;
    return { visibleTo: role === 'admin' ? null : userId, among };
  }

  async agent(demand: Demand, id: AgentId): Promise<Agent> {
    return (await this.grant(demand, id)).agent;
  }

  /** As `agent`, with how far the caller may go. */
  async grant(demand: Demand, id: AgentId): Promise<Granted> {
    this.permit(demand);
    const granted = await this.#granted(demand, id);
    if (granted === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${id}.`);
    return granted;
  }

  /** Whether it exists for the caller. Throws FORBIDDEN where it does, and the caller may not do this. */
  async sees(demand: Demand, id: AgentId): Promise<boolean> {
    this.permit(demand);
    return (await this.#granted(demand, id)) !== undefined;
  }

  async conversation(demand: Demand, id: ConversationId): Promise<Conversation> {
    this.permit(demand);
    const conversation = await this.#options.agents.findConversation(id);
    if (conversation === undefined || (await this.#granted(demand, conversation.agentId)) === undefined) {
      throw new CaissonError('CONVERSATION_NOT_FOUND', `There is no conversation ${id}.`);
    }
    return conversation;
  }

  /** A conversation that must be one of this agent. */
  async conversationOf(demand: Demand, agentId: AgentId, id: ConversationId): Promise<Conversation> {
    await this.agent(demand, agentId);
    const conversation = await this.#options.agents.findConversation(id);
    if (conversation?.agentId !== agentId) {
      throw new CaissonError('CONVERSATION_NOT_FOUND', `Agent ${agentId} has no conversation ${id}.`);
    }
    return conversation;
  }

  async run(demand: Demand, id: RunId): Promise<Run> {
    this.permit(demand);
    const run = await this.#options.agents.findRun(id);
    if (run === undefined || (await this.#granted(demand, run.agentId)) === undefined) {
      throw new CaissonError('RUN_NOT_FOUND', `There is no run ${id}.`);
    }
    return run;
  }

  async permission(demand: Demand, id: PermissionId): Promise<Permission> {
    this.permit(demand);
    const permission = await this.#options.agents.findPermission(id);
    if (permission === undefined || (await this.#granted(demand, permission.agentId)) === undefined) {
      throw new CaissonError('PERMISSION_NOT_FOUND', `There is no permission request ${id}.`);
    }
    return permission;
  }

  /** Whether a user may still act with an agent: it is not disabled, has a live key, and may use the agent. */
  async mayRun(principalId: UserId, agent: Agent): Promise<boolean> {
    const role = await this.#options.identities.liveRole(principalId, this.#options.clock.now());
    if (role === undefined) return false;
    const level = await this.#levelOf({ role, userId: principalId }, agent);
    return level !== undefined && isAtLeast(level, 'use');
  }

  async shown(principal: Principal, agent: Agent): Promise<ShownAgent> {
    const [shown] = await this.allShown(principal, [agent]);
    return shown ?? { ...agent, ownerName: agent.ownerId, access: 'view' };
  }

  /** Each owner is looked up once. */
  async allShown(principal: Principal, agents: readonly Agent[]): Promise<ShownAgent[]> {
    const names = new Map<UserId, string>();
    const shown: ShownAgent[] = [];
    for (const agent of agents) {
      const { ownerId } = agent;
      const ownerName = names.get(ownerId) ?? (await this.#options.identities.findUser(ownerId))?.name ?? ownerId;
      names.set(ownerId, ownerName);
      const level = owns(principal, agent) ? 'own' : await this.#levelOf(principal, agent);
      const access = capped(level ?? 'view', principal);
      shown.push({ ...agent, ownerName, access });
    }
    return shown;
  }

  /** Undefined for what the caller may not see; throws FORBIDDEN for what it may see, and not do. */
  async #granted({ principal, need, onGranted }: Demand, id: AgentId): Promise<Granted | undefined> {
    if (principal.agents !== null && !principal.agents.includes(id)) return undefined;
    const agent = await this.#options.agents.findAgent(id);
    const level = agent && (await this.#levelOf(principal, agent));
    if (agent === undefined || level === undefined) return undefined;
    const wanted = agentLevels.find((each) => each === need) ?? 'own';
    if (isAtLeast(level, wanted)) {
      onGranted?.(id);
      return { agent, level: capped(level, principal) };
    }
    throw new CaissonError('FORBIDDEN', `You may ${level} agent ${agent.name}; this needs to ${wanted} it.`, {
      hint: 'Ask its owner, or an administrator.',
      details: { agentId: id, level, needed: wanted },
    });
  }

  /** By role, ownership and shares; undefined: it does not exist for the user. */
  async #levelOf(user: Pick<Principal, 'role' | 'userId'>, agent: Agent): Promise<AgentLevel | undefined> {
    if (user.role === 'auditor') return undefined;
    if (owns(user, agent)) return 'own';
    const share = await this.#options.shares.findShare(agent.id, user.userId);
    if (share === undefined) return undefined;
    // What is used is the owner's to answer for: there must be one.
    return share.isOwnerDisabled ? 'view' : shareLevels[share.role];
  }
}

/** By role and ownership alone. */
function owns({ role, userId }: Pick<Principal, 'role' | 'userId'>, agent: Agent): boolean {
  return role === 'admin' || (role === 'member' && agent.ownerId === userId);
}

/** Within the scopes of the key; a caller who was let in has one. */
function capped(level: AgentLevel, { scopes }: Principal): AgentLevel {
  return agentLevels.findLast((each) => isAtLeast(level, each) && covers(scopes, each)) ?? 'view';
}
