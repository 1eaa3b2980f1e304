import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, KeyId, UserId } from '../../kernel/ids.ts';
import type { Access, Demand } from './access.ts';
import type { IdentityStore, User } from './identity.ts';
import { isAtLeast } from './needs.ts';
import { type Share, shareLevels, type ShareRole, type ShareStore } from './sharing.ts';

/** A user may do less with an agent than before, or nothing any more. */
export interface Narrowing {
  readonly agentId: AgentId;
  readonly userId: UserId;
  /** Those of the user that are not revoked. */
  readonly keyIds: readonly KeyId[];
}

/** A share, and with whom. */
export interface SharedWith {
  readonly share: Share;
  /** Of the user. */
  readonly name: string;
}

interface SharingServiceOptions {
  readonly store: ShareStore;
  readonly identities: Pick<IdentityStore, 'findUser' | 'findUserByName' | 'listLiveKeyIds'>;
  readonly access: Pick<Access, 'agent'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Users that one agent is shared with. */
const mostShares = 100;

/** Agents that are there for others than their owner. */
export class SharingService {
  readonly #options: SharingServiceOptions;
  readonly #listeners = new Set<(narrowing: Narrowing) => void>();

  constructor(options: SharingServiceOptions) {
    this.#options = options;
  }

  /**
   * Shares an agent with a user, or changes what it is shared as. Errors: AGENT_NOT_FOUND, FORBIDDEN, USER_NOT_FOUND,
   * USER_DISABLED, BAD_REQUEST for its owner and for auditors, LIMIT_REACHED at 100 users.
   */
  async share(
    demand: Demand,
    { agentId, user: name, role }: { readonly agentId: AgentId; readonly user: string; readonly role: ShareRole },
  ): Promise<SharedWith> {
    const { access, store, clock } = this.#options;
    const agent = await access.agent(demand, agentId);
    const user = await this.#userNamed(name);
    if (user.id === agent.ownerId) throw new CaissonError('BAD_REQUEST', `${name} owns agent ${agent.name}.`);
    if (user.role === 'auditor') {
      throw new CaissonError('BAD_REQUEST', `${name} is an auditor, who does not see what agents do.`);
    }
    if (user.disabledAt !== null) throw new CaissonError('USER_DISABLED', `User ${name} is disabled.`);
    const share: Share = { agentId, userId: user.id, role, createdBy: demand.principal.userId, createdAt: clock.now() };
    const earlier = await store.putShare(share, mostShares);
    if (earlier === 'full') {
      throw new CaissonError('LIMIT_REACHED', `Agent ${agent.name} is shared with ${mostShares} users already.`, {
        hint: 'Take it back from somebody first.',
        details: { limit: mostShares },
      });
    }
    const isNarrower = earlier !== 'none' && !isAtLeast(shareLevels[role], shareLevels[earlier]);
    if (isNarrower) await this.#narrowed(agentId, user.id);
    return { share, name: user.name };
  }

  /** Ends what the user has open there. Says whether it was shared; where not, that is no error. */
  async unshare(
    demand: Demand,
    { agentId, user: name }: { readonly agentId: AgentId; readonly user: string },
  ): Promise<boolean> {
    await this.#options.access.agent(demand, agentId);
    const user = await this.#userNamed(name);
    const existed = await this.#options.store.removeShare(agentId, user.id);
    if (existed) await this.#narrowed(agentId, user.id);
    return existed;
  }

  /** In the order of sharing. */
  async list(demand: Demand, agentId: AgentId): Promise<readonly SharedWith[]> {
    const { access, store, identities } = this.#options;
    await access.agent(demand, agentId);
    const shares = await store.listShares(agentId);
    return await Promise.all(
      shares.map(async (share) => ({
        share,
        name: (await identities.findUser(share.userId))?.name ?? share.userId,
      })),
    );
  }

  /** Calls `listener`, which must not throw, when a user may do less with an agent. The returned function takes it back. */
  onNarrowed(listener: (narrowing: Narrowing) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #narrowed(agentId: AgentId, userId: UserId): Promise<void> {
    const keyIds = await this.#options.identities.listLiveKeyIds(userId);
    for (const listener of this.#listeners) listener({ agentId, userId, keyIds });
  }

  async #userNamed(name: string): Promise<User> {
    const user = await this.#options.identities.findUserByName(name);
    if (user !== undefined) return user;
    throw new CaissonError('USER_NOT_FOUND', `There is no user ${name}.`);
  }
}
