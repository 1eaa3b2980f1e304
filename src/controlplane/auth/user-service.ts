import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { newUserId, type UserId } from '../../kernel/ids.ts';
import type { IdentityStore, Role, User } from './identity.ts';
import { hashInvitation, newInvitation } from './invitation-secret.ts';
import { type KeyService, type NewKey, newKey } from './key-service.ts';

/** A user as people see it. `invited`: has an invitation that is not accepted. */
export interface KnownUser {
  readonly user: User;
  readonly state: 'active' | 'invited' | 'disabled';
}

/** What users have under way and leave behind. */
interface UserWork {
  /** Cancels the runs that a user started and those of its agents, and stops the sandboxes of its agents. */
  end(userId: UserId, by: UserId): Promise<{ readonly runs: number; readonly sandboxes: number }>;
  /** Deletes the user's agents, with all that is theirs. */
  deleteAgents(userId: UserId): Promise<number>;
}

interface UserServiceOptions {
  readonly store: IdentityStore;
  readonly keys: Pick<KeyService, 'ended'>;
  readonly work: UserWork;
  readonly clock: Pick<Clock, 'now'>;
}

/** What ended with a user. */
export interface Ended {
  readonly keys: number;
  readonly runs: number;
  readonly sandboxes: number;
}

/** Who there is, and who may come in. Who calls has been asked whether it may: see `needs.ts`. */
export class UserService {
  readonly #options: UserServiceOptions;

  constructor(options: UserServiceOptions) {
    this.#options = options;
  }

  /** Newest first; at most 1,000. */
  async list(): Promise<readonly KnownUser[]> {
    const users = await this.#options.store.listUsers();
    const invited = await this.#invited();
    return users.map((user) => ({ user, state: stateOf(user, invited) }));
  }

  async get(id: UserId): Promise<KnownUser> {
    const user = await this.#options.store.findUser(id);
    if (user === undefined) throw new CaissonError('USER_NOT_FOUND', `There is no user ${id}.`);
    return { user, state: stateOf(user, await this.#invited()) };
  }

  /**
   * Makes a user, and an invitation that is exchanged for its first key, once. For who is invited already, a new invitation
   * takes the place of the old. Errors: NAME_TAKEN.
   */
  async invite(request: {
    readonly name: string;
    readonly role: Role;
    readonly expiresInMs: number;
  }): Promise<KnownUser & { readonly invitation: string; readonly expiresAt: number }> {
    const { store, clock } = this.#options;
    const { name, role } = request;
    const now = clock.now();
    const made: User = { id: newUserId(), name, role, createdAt: now, disabledAt: null };
    const user = await store.insertUser(made);
    const isNew = user.id === made.id;
    if (!isNew && (user.role !== role || !(await this.#invited()).has(user.id))) {
      throw new CaissonError('NAME_TAKEN', `There is already a user ${name}, as ${user.role}.`, {
        details: { user: name, role: user.role },
      });
    }
    const invitation = newInvitation();
    const expiresAt = now + request.expiresInMs;
    await store.putInvitation({ userId: user.id, createdAt: now, expiresAt }, hashInvitation(invitation));
    return { user, state: 'invited', invitation, expiresAt };
  }

  /** Exchanges an invitation for a key. Errors: INVITATION_INVALID, also for one that was used. */
  async accept(request: { readonly invitation: string; readonly keyName: string }): Promise<NewKey> {
    const { store, clock } = this.#options;
    const now = clock.now();
    let secret = '';
    const made = await store.acceptInvitation(hashInvitation(request.invitation), now, (user) => {
      const fresh = newKey(user, { name: request.keyName }, now);
      ({ secret } = fresh);
      return fresh;
    });
    if (made === undefined) {
      throw new CaissonError('INVITATION_INVALID', 'There is no such invitation, or it was used, or has expired.');
    }
    return { ...made, secret };
  }

  /**
   * From this moment on nobody gets in as this user, and what it has open ends: calls, subscriptions, sockets, previews.
   * Resolves when its runs are asked to stop and the sandboxes of its agents are stopped. Its keys are gone for good; its
   * agents stay. Doing it twice is no error. Errors: USER_NOT_FOUND, LAST_ADMIN_KEY.
   */
  async disable(id: UserId, by: UserId): Promise<KnownUser & { readonly ended: Ended }> {
    const { store, keys, work, clock } = this.#options;
    const { user } = await this.get(id);
    const outcome = await store.disableUser(id, clock.now());
    if (outcome === 'last_admin') {
      throw new CaissonError('LAST_ADMIN_KEY', `${user.name} is the last administrator with a full key.`);
    }
    keys.ended(outcome);
    const ended = await work.end(id, by);
    return { ...(await this.get(id)), ended: { keys: outcome.length, ...ended } };
  }

  /** It may come in again, by new keys. Doing it twice is no error. */
  async enable(id: UserId): Promise<KnownUser> {
    await this.get(id);
    await this.#options.store.enableUser(id);
    return await this.get(id);
  }

  /**
   * Disables the user, then takes it away with its keys and shares; its name is free again. What it said in agents of others
   * stays. Errors: those of `disable`; USER_HAS_AGENTS where it owns some and they are not to be deleted: then it is
   * disabled, and not deleted.
   */
  async delete(id: UserId, by: UserId, withAgents: boolean): Promise<{ readonly agents: number }> {
    const { store, work } = this.#options;
    const { user } = await this.disable(id, by);
    const agents = withAgents ? await work.deleteAgents(id) : 0;
    if (await store.deleteUser(id)) return { agents };
    throw new CaissonError('USER_HAS_AGENTS', `${user.name} owns agents. The user is disabled, and not deleted.`);
  }

  async #invited(): Promise<ReadonlySet<UserId>> {
    return new Set((await this.#options.store.listInvitations()).map(({ userId }) => userId));
  }
}

function stateOf({ id, disabledAt }: User, invited: ReadonlySet<UserId>): KnownUser['state'] {
  if (disabledAt !== null) return 'disabled';
  return invited.has(id) ? 'invited' : 'active';
}
