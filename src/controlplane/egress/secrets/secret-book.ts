import type { AgentStore } from '../../../agents/ports.ts';
import { CaissonError } from '../../../kernel/errors.ts';
import type { AgentId } from '../../../kernel/ids.ts';
import type { EgressTarget } from '../ports.ts';
import { targetText } from '../target.ts';
import type { SecretStore, StoredSecret } from './secret.ts';

/** By `targetText`. */
type Page = ReadonlyMap<string, StoredSecret>;

/** Agents whose secrets are kept at hand, sealed; the ones used longest ago go first. */
const mostKept = 1_000;

/** The secrets that agents use, read once and kept until `forget`: every connection asks for them. */
export class SecretBook {
  readonly #store: Pick<SecretStore, 'listSecrets'>;
  readonly #agents: Pick<AgentStore, 'findAgent'>;
  readonly #pages = new Map<AgentId, Page>();
  #generation = 0;

  constructor(store: Pick<SecretStore, 'listSecrets'>, agents: Pick<AgentStore, 'findAgent'>) {
    this.#store = store;
    this.#agents = agents;
  }

  /** That of the agent, or of its owner, for just this host and port. Errors: AGENT_NOT_FOUND. */
  async find(agentId: AgentId, target: EgressTarget): Promise<StoredSecret | undefined> {
    return (await this.#open(agentId)).get(targetText(target));
  }

  /** A secret has changed: all are read anew. */
  forget(): void {
    this.#generation++;
    this.#pages.clear();
  }

  async #open(agentId: AgentId): Promise<Page> {
    const kept = this.#pages.get(agentId);
    if (kept !== undefined) {
      this.#pages.delete(agentId);
      this.#pages.set(agentId, kept);
      return kept;
    }
    const generation = this.#generation;
    const agent = await this.#agents.findAgent(agentId);
    if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${agentId}.`);
    const all = [
      ...(await this.#store.listSecrets({ kind: 'user', userId: agent.ownerId })),
      ...(await this.#store.listSecrets({ kind: 'agent', agentId })),
    ];
    const page = new Map(all.map((secret) => [targetText(secret), secret])); // the last one counts
    // What was changed while it was read must not be kept as it was.
    if (generation === this.#generation) {
      this.#pages.set(agentId, page);
      const oldest = this.#pages.keys().next();
      if (this.#pages.size > mostKept && oldest.done !== true) this.#pages.delete(oldest.value);
    }
    return page;
  }
}
