import type { AgentStore } from '../../../agents/ports.ts';
import { CaissonError } from '../../../kernel/errors.ts';
import type { AgentId, UserId } from '../../../kernel/ids.ts';
import type { EgressLayers } from './judge.ts';
import type { EgressPolicyStore } from './policy.ts';

interface Page {
  readonly ownerId: UserId;
  readonly layers: EgressLayers;
}

/** Agents whose policies are kept at hand; the ones used longest ago go first. */
const mostKept = 1_000;

/** The policies that agents stand under, read once and kept until `forget`: every connection asks for them. */
export class PolicyBook {
  readonly #store: EgressPolicyStore;
  readonly #agents: Pick<AgentStore, 'findAgent'>;
  readonly #pages = new Map<AgentId, Page>();
  #generation = 0;

  constructor(store: EgressPolicyStore, agents: Pick<AgentStore, 'findAgent'>) {
    this.#store = store;
    this.#agents = agents;
  }

  /** Errors: AGENT_NOT_FOUND. */
  async open(agentId: AgentId): Promise<Page> {
    const kept = this.#pages.get(agentId);
    if (kept !== undefined) {
      this.#pages.delete(agentId);
      this.#pages.set(agentId, kept);
      return kept;
    }
    const generation = this.#generation;
    const agent = await this.#agents.findAgent(agentId);
    if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${agentId}.`);
    const { ownerId } = agent;
    const [operator, ceiling, user, own] = await this.#store.findPolicies([
      { kind: 'operator' },
      { kind: 'ceiling', userId: ownerId },
      { kind: 'user', userId: ownerId },
      { kind: 'agent', agentId },
    ]);
    if (operator === undefined || ceiling === undefined || user === undefined || own === undefined) {
      throw new TypeError('The store has left a policy out.');
    }
    const page = { ownerId, layers: { operator, ceiling, user, agent: own } };
    // What was changed while it was read must not be kept as it was.
    if (generation === this.#generation) {
      this.#pages.set(agentId, page);
      const oldest = this.#pages.keys().next();
      if (this.#pages.size > mostKept && oldest.done !== true) this.#pages.delete(oldest.value);
    }
    return page;
  }

  /** A policy has changed: all are read anew. */
  forget(): void {
    this.#generation++;
    this.#pages.clear();
  }
}
