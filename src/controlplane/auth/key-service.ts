import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { type KeyId, newKeyId, newUserId, type UserId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { ApiKey, IdentityStore, KeyLimits, KeyWithUser, Principal, Role, User } from './identity.ts';
import { type CachedKey, KeyCache } from './key-cache.ts';
import { hashKeySecret, isKeySecret, keyPrefix, newKeySecret } from './key-secret.ts';
import { refusalOf } from './needs.ts';
import { sessionEnded } from './session-ended.ts';
import { isSessionSecret } from './session-secret.ts';

export interface NewKey extends KeyWithUser {
  /** Shown once: it is not stored. */
  readonly secret: string;
}

/** What a key is to be. Default: as wide as its user, for ever. */
export interface KeyRequest extends Partial<KeyLimits> {
  readonly name: string;
  readonly expiresAt?: number | null;
}

interface KeyServiceOptions {
  readonly store: IdentityStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** After how long without a request a session ends. Default: it does not. */
  readonly sessionIdleMs?: number;
}

/** Of a user that is made with its first key. */
const defaultRole: Role = 'member';
/** How long a live key is believed without asking the store. */
const cacheAgeMs = 5_000;
/** `lastUsedAt` is written at most this often. */
const touchIntervalMs = 60_000;

/** API keys and sessions: who is calling, which keys there are, and when both end. */
export class KeyService implements AsyncDisposable {
  readonly #store: IdentityStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #sessionIdleMs: number | null;
  readonly #cache = new KeyCache(cacheAgeMs);
  /** At most one for each cached key. */
  readonly #touches = new Set<Promise<void>>();
  readonly #endListeners = new Set<(keyId: KeyId) => void>();
  /** One for each key or session that expires and was used. */
  readonly #expiries = new Map<KeyId, () => void>();

  constructor({ store, clock, logger, sessionIdleMs }: KeyServiceOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#sessionIdleMs = sessionIdleMs ?? null;
  }

  /**
   * The caller, by an Authorization header. A key that was revoked here is refused from that moment on.
   *
   * @throws CaissonError UNAUTHORIZED. It does not say whether a key never was or was revoked to those without the key.
   */
  async authenticate(authorization: string | undefined): Promise<Principal> {
    if (authorization === undefined || authorization === '') {
      throw new CaissonError('UNAUTHORIZED', 'The request has no API key.');
    }
    const secret = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (secret === undefined || !isKeySecret(secret)) {
      throw new CaissonError('UNAUTHORIZED', 'The Authorization header does not hold an API key.');
    }
    return await this.authenticateSecret(secret);
  }

  /**
   * The caller, by what the cookie of a browser holds. Who calls has made sure that the request is one that may come with it.
   *
   * @throws CaissonError UNAUTHORIZED
   */
  async authenticateSession(secret: string): Promise<Principal> {
    if (!isSessionSecret(secret)) throw sessionEnded();
    return await this.authenticateSecret(secret);
  }

  async authenticateSecret(secret: string): Promise<Principal> {
    const hash = hashKeySecret(secret);
    const now = this.#clock.now();
    const cached = this.#cache.find(hash, now);
    if (cached !== undefined && endOf(cached) > now) {
      this.#touch(cached, now);
      return cached.principal;
    }
    const { generation } = this.#cache;
    const found = await this.#store.findKeyByHash(hash);
    if (found === undefined) {
      throw isSessionSecret(secret)
        ? sessionEnded()
        : new CaissonError('UNAUTHORIZED', 'This API key is not known here.');
    }
    const { key, user } = found;
    const entry = this.#entryOf(found);
    const isOver = endOf(entry) <= now;
    if (key.signedInBy !== null && (key.revokedAt !== null || isOver)) throw sessionEnded();
    if (key.revokedAt !== null) throw new CaissonError('UNAUTHORIZED', `API key ${key.id} was revoked.`);
    if (isOver) throw new CaissonError('UNAUTHORIZED', `API key ${key.id} has expired.`);
    if (user.disabledAt !== null) throw new CaissonError('UNAUTHORIZED', `User ${user.name} is disabled.`);
    this.#cache.remember(hash, entry, { now, generation });
    this.#touch(entry, now);
    this.#watchEnd(entry);
    return entry.principal;
  }

  /** Whether its user may still come in with a key or a session: for what was made with it, and is over when it is. */
  async isLive(keyId: KeyId): Promise<boolean> {
    const found = await this.#store.findKey(keyId);
    if (found === undefined || found.key.revokedAt !== null || found.user.disabledAt !== null) return false;
    return endOf(this.#entryOf(found)) > this.#clock.now();
  }

  /**
   * Makes a key, and its user, by default a member, if there is none of that name yet; with `newUser: false` only for a user
   * that is there. Asks nobody: who calls it has. With `mayIssue` it can make others.
   *
   * @throws CaissonError NAME_TAKEN when the user exists with another role than the one asked for; USER_DISABLED;
   * USER_NOT_FOUND.
   */
  async issue(
    request: KeyRequest & {
      readonly user: string;
      readonly role?: Role | undefined;
      readonly newUser?: boolean;
      readonly secret?: string;
      readonly mayIssue?: boolean;
    },
  ): Promise<NewKey> {
    const { newUser = true, mayIssue = false } = request;
    const now = this.#clock.now();
    const user = newUser ? await this.#userOrNew(request, now) : await this.#store.findUserByName(request.user);
    if (user === undefined) throw new CaissonError('USER_NOT_FOUND', `There is no user ${request.user}.`);
    const role = request.role ?? (newUser ? defaultRole : user.role);
    if (user.role !== role) {
      throw new CaissonError('NAME_TAKEN', `User ${user.name} exists already, as ${user.role}.`, {
        hint: `Ask for role ${user.role}, or choose another user name.`,
        details: { user: user.name, role: user.role },
      });
    }
    if (user.disabledAt !== null) throw new CaissonError('USER_DISABLED', `User ${user.name} is disabled.`);
    const { key, secretHash, secret } = newKey(user, request, now, request.secret);
    const stored = { ...key, mayIssue };
    await this.#store.insertKey(stored, secretHash);
    return { key: stored, user, secret };
  }

  /** As people know the user; undefined where there is none. */
  async userName(id: UserId): Promise<string | undefined> {
    return (await this.#store.findUser(id))?.name;
  }

  /**
   * Everyone's for those who may see people, otherwise the caller's own; of a narrowed key only itself. Newest first; at
   * most 1,000.
   */
  async list(by: Principal): Promise<readonly KeyWithUser[]> {
    const seesAll = refusalOf(by, 'oversee') === undefined;
    const keys = await this.#store.listKeys(seesAll ? null : by.userId);
    return keys.filter(({ key }) => seesAll || isOwnToManage(by, key));
  }

  /**
   * Revokes a key: anyone's by who may change people, otherwise the caller's own; by a narrowed key only itself. From this
   * moment on no call gets in with it; those that listen (`onEnded`) end what it has open. Revoking twice is no error.
   *
   * @throws CaissonError KEY_NOT_FOUND, also for someone else's key and for sessions; LAST_ADMIN_KEY.
   */
  async revoke(by: Principal, keyId: KeyId): Promise<KeyWithUser> {
    const found = await this.#store.findKey(keyId);
    const isKey = found !== undefined && found.key.signedInBy === null;
    if (!isKey || !(isOwnToManage(by, found.key) || refusalOf(by, 'administer') === undefined)) {
      if (isKey && refusalOf(by, 'oversee') === undefined) {
        throw new CaissonError('FORBIDDEN', 'Only administrators revoke the keys of others.');
      }
      throw new CaissonError('KEY_NOT_FOUND', `There is no API key ${keyId}.`);
    }
    const outcome = await this.#store.revokeKey(keyId, this.#clock.now());
    if (outcome === 'last_admin_key') {
      throw new CaissonError('LAST_ADMIN_KEY', `${keyId} is the last full key of an administrator.`);
    }
    this.ended([keyId]);
    return (await this.#store.findKey(keyId)) ?? found;
  }

  /** These keys are over, and the store knows it: nobody gets in with them any more, and what they have open ends. */
  ended(keyIds: readonly KeyId[]): void {
    this.#cache.clear();
    for (const keyId of keyIds) {
      this.#expiries.get(keyId)?.();
      this.#expiries.delete(keyId);
      for (const listener of this.#endListeners) listener(keyId);
    }
  }

  /** Calls `listener`, which must not throw, for every key that is revoked or expires. The returned function takes it back. */
  onEnded(listener: (keyId: KeyId) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /** Resolves when nothing is being written any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const cancel of this.#expiries.values()) cancel();
    this.#expiries.clear();
    await Promise.all(this.#touches);
  }

  #entryOf(found: KeyWithUser): CachedKey {
    const { signedInBy, lastUsedAt, createdAt, expiresAt } = found.key;
    const touched =
      signedInBy === null
        ? { touchedAt: lastUsedAt ?? 0, idleMs: null }
        : { touchedAt: lastUsedAt ?? createdAt, idleMs: this.#sessionIdleMs };
    return { principal: principalOf(found), expiresAt, ...touched };
  }

  /** Ends what a key has open when its time is over. */
  #watchEnd(entry: CachedKey): void {
    const { keyId } = entry.principal;
    const end = endOf(entry);
    if (end === Infinity || this.#expiries.has(keyId)) return;
    const over = (): void => {
      if (entry.idleMs === null) return this.ended([keyId]);
      this.#expiries.delete(keyId);
      this.#endUnlessUsed(keyId).catch((err: unknown) => {
        this.#logger.warn({ err, keyId }, 'it is not known whether a session was used, so it is over here');
        this.ended([keyId]);
      });
    };
    this.#expiries.set(keyId, this.#clock.schedule(end - this.#clock.now(), over));
  }

  async #userOrNew(
    { user: name, role = defaultRole }: { readonly user: string; readonly role?: Role | undefined },
    createdAt: number,
  ): Promise<User> {
    return await this.#store.insertUser({ id: newUserId(), name, role, createdAt, disabledAt: null });
  }

  /** A session that was used meanwhile ends later. */
  async #endUnlessUsed(keyId: KeyId): Promise<void> {
    await Promise.all(this.#touches);
    const found = await this.#store.findKey(keyId);
    const entry = found && this.#entryOf(found);
    if (entry === undefined || endOf(entry) <= this.#clock.now()) this.ended([keyId]);
    else this.#watchEnd(entry);
  }

  #touch(entry: { readonly principal: Principal; touchedAt: number }, now: number): void {
    if (now - entry.touchedAt < touchIntervalMs) return;
    entry.touchedAt = now;
    const { keyId } = entry.principal;
    const touch = this.#store
      .touchKey(keyId, now)
      .catch((err: unknown) => this.#logger.warn({ err, keyId }, 'the use of an API key could not be recorded'))
      .finally(() => this.#touches.delete(touch));
    this.#touches.add(touch);
  }
}

/** A key as it is to be stored. It cannot make others. */
export function newKey(
  user: User,
  request: KeyRequest,
  now: number,
  secret: string = newKeySecret(),
): { readonly key: ApiKey; readonly secretHash: string; readonly secret: string } {
  const { name, scopes = null, agents = null, expiresAt = null } = request;
  const key: ApiKey = {
    id: newKeyId(),
    userId: user.id,
    name,
    prefix: keyPrefix(secret),
    scopes,
    agents,
    mayIssue: false,
    createdAt: now,
    expiresAt,
    lastUsedAt: null,
    revokedAt: null,
    signedInBy: null,
  };
  return { key, secretHash: hashKeySecret(secret), secret };
}

function principalOf({ key, user }: KeyWithUser): Principal {
  const { id: keyId, scopes, agents, mayIssue, signedInBy } = key;
  return { userId: user.id, userName: user.name, role: user.role, keyId, scopes, agents, mayIssue, signedInBy };
}

/** From when on nobody gets in with it, in milliseconds since the epoch. */
function endOf({ expiresAt, touchedAt, idleMs }: CachedKey): number {
  return Math.min(expiresAt ?? Infinity, touchedAt + (idleMs ?? Infinity));
}

/** Who stole a narrowed key must not be able to lock its user out. */
function isOwnToManage({ userId, keyId, scopes, agents }: Principal, key: ApiKey): boolean {
  return scopes === null && agents === null ? key.userId === userId : key.id === keyId;
}
