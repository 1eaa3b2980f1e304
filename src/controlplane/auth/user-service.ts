import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { newUserId, type UserId } from '../../kernel/ids.ts';
import type { IdentityStore, Role, User } from './identity.ts';
import { hashInvitation, newInvitation } from './invitation-secret.ts';
import { type KeyService, type NewKey, newKey } from './key-service.ts';
import type { LoginStore } from '../login/login-store.ts';

/** A user as people see it. `invited`: has an invitation that is not accepted. */
export interface KnownUser {
  readonly user: User;
  readonly state: 'active' | 'invited' | 'disabled';
  /** With which it can sign in; null: it has none, and comes by keys only. */
  readonly email: string | null;
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
  readonly logins: Pick<LoginStore, 'emails' | 'findByUser' | 'findByEmail' | 'putEmail'>;
  readonly keys: Pick<KeyService, 'ended'>;
  readonly work: UserWork;
  readonly clock: Pick<Clock, 'now'>;
}

/** A user with an invitation, which is shown this once. */
export interface Invited extends KnownUser {
  readonly invitation: string;
  readonly expiresAt: number;
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
    const [invited, emails] = [await this.#invited(), await this.#options.logins.emails()];
    return users.map((user) => ({ user, state: stateOf(user, invited), email: emails.get(user.id) ?? null }));
  }

  async get(id: UserId): Promise<KnownUser> {
    return await this.#known(id, await this.#options.store.findUser(id));
  }

  async getByName(name: string): Promise<KnownUser> {
    return await this.#known(name, await this.#options.store.findUserByName(name));
  }

  /**
   * Makes a user, and an invitation that is exchanged once: for its first key, or where it has an email for a password or an
   * identity. For who is invited already, a new invitation takes the place of the old. Errors: NAME_TAKEN, also for an email.
   */
  async invite(request: {
    readonly name: string;
    readonly role: Role;
    readonly expiresInMs: number;
    /** In lower case; null: none, or the one that it has. */
    readonly email: string | null;
  }): Promise<Invited> {
    const { store, clock } = this.#options;
    const { name, role, email } = request;
    if (email !== null) await this.#requireFree(email, name);
    const now = clock.now();
    const made: User = { id: newUserId(), name, role, createdAt: now, disabledAt: null };
    const user = await store.insertUser(made);
    const isNew = user.id === made.id;
    if (!isNew && (user.role !== role || !(await this.#invited()).has(user.id))) {
      throw new CaissonError('NAME_TAKEN', `There is already a user ${name}, as ${user.role}.`, {
        hint: 'Choose another name; or give the one that is there a key (`caisson keys create`) or a new password (`caisson users login-link`).',
        details: { user: name, role: user.role },
      });
    }
    return await this.#invite(user, { ...request, isReset: false });
  }

  /**
   * Makes an invitation for somebody who is there: to set a new password, which ends all its sessions, or to link an identity.
   * Errors: USER_NOT_FOUND, USER_DISABLED, NAME_TAKEN for an email, BAD_REQUEST where it has none.
   */
  async resetLogin(
    id: UserId,
    request: { readonly expiresInMs: number; readonly email: string | null },
  ): Promise<Invited> {
    const { user, email: known, state } = await this.get(id);
    if (state === 'disabled') throw new CaissonError('USER_DISABLED', `User ${user.name} is disabled.`);
    if (request.email !== null) await this.#requireFree(request.email, user.name);
    else if (known === null) {
      throw new CaissonError('BAD_REQUEST', `User ${user.name} has no email to sign in with.`, {
        hint: 'Give one: `caisson users login-link <user> --email <email>`.',
      });
    }
    return await this.#invite(user, { ...request, isReset: state !== 'invited' });
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

  async #invite(
    user: User,
    request: { readonly expiresInMs: number; readonly email: string | null; readonly isReset: boolean },
  ): Promise<Invited> {
    const { store, logins, clock } = this.#options;
    const { email, isReset } = request;
    if (email !== null && !(await logins.putEmail(user.id, email))) throw emailTaken(email);
    const now = clock.now();
    const invitation = newInvitation();
    const expiresAt = now + request.expiresInMs;
    await store.putInvitation({ userId: user.id, isReset, createdAt: now, expiresAt }, hashInvitation(invitation));
    return { ...(await this.get(user.id)), invitation, expiresAt };
  }

  /** Before anything is stored; `putEmail` has the last word. */
  async #requireFree(email: string, name: string): Promise<void> {
    const holder = await this.#options.logins.findByEmail(email);
    if (holder !== undefined && holder.user.name !== name) throw emailTaken(email);
  }

  async #known(asked: string, user: User | undefined): Promise<KnownUser> {
    if (user === undefined) throw new CaissonError('USER_NOT_FOUND', `There is no user ${asked}.`);
    const login = await this.#options.logins.findByUser(user.id);
    return { user, state: stateOf(user, await this.#invited()), email: login?.email ?? null };
  }

  /** Who has not been in yet. */
  async #invited(): Promise<ReadonlySet<UserId>> {
    const invitations = await this.#options.store.listInvitations();
    return new Set(invitations.filter(({ isReset }) => !isReset).map(({ userId }) => userId));
  }
}

function emailTaken(email: string): CaissonError {
  return new CaissonError('NAME_TAKEN', `Another user has the email ${email}.`, { hint: 'Give another one.' });
}

function stateOf({ id, disabledAt }: User, invited: ReadonlySet<UserId>): KnownUser['state'] {
  if (disabledAt !== null) return 'disabled';
  return invited.has(id) ? 'invited' : 'active';
}
