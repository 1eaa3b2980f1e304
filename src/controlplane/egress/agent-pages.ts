import type { Agent } from '../../agents/agent.ts';
import type { AgentStore } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';

/** Agents whose pages are kept at hand; the ones used longest ago go first. */
const mostKept = 1_000;

/** What is known of agents, a page each, read once and kept until `forget`: every connection asks for it. */
export class AgentPages<Page extends object> {
  readonly #agents: Pick<AgentStore, 'findAgent'>;
  readonly #read: (agent: Agent) => Promise<Page>;
  readonly #pages = new Map<AgentId, Page>();
  #generation = 0;

  constructor(agents: Pick<AgentStore, 'findAgent'>, read: (agent: Agent) => Promise<Page>) {
    this.#agents = agents;
    this.#read = read;
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
    const page = await this.#read(agent);
    // What was changed while it was read must not be kept as it was.
    if (generation === this.#generation) {
      this.#pages.set(agentId, page);
      const oldest = this.#pages.keys().next();
      if (this.#pages.size > mostKept && oldest.done !== true) this.#pages.delete(oldest.value);
    }
    return page;
  }

  /** Something has changed: all are read anew. */
  forget(): void {
    this.#generation++;
    this.#pages.clear();
  }
}
