import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { type KeyId, newKeyId, newUserId, type UserId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { ApiKey, IdentityStore, Principal, Role, User } from './identity.ts';
import { KeyCache } from './key-cache.ts';
import { hashKeySecret, isKeySecret, keyPrefix, newKeySecret } from './key-secret.ts';

export interface KeyWithUser {
  readonly key: ApiKey;
  readonly user: User;
}

export interface NewKey extends KeyWithUser {
  /** Shown once: it is not stored. */
  readonly secret: string;
}

interface KeyServiceOptions {
  readonly store: IdentityStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long a live key is believed without asking the store. */
const cacheAgeMs = 5_000;
/** `lastUsedAt` is written at most this often. */
const touchIntervalMs = 60_000;

/** API keys: who is calling, and who may make and revoke keys. */
export class KeyService implements AsyncDisposable {
  readonly #store: IdentityStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #cache = new KeyCache(cacheAgeMs);
  /** At most one for each cached key. */
  readonly #touches = new Set<Promise<void>>();
  readonly #revocationListeners = new Set<(keyId: KeyId) => void>();

  constructor({ store, clock, logger }: KeyServiceOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
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

  async authenticateSecret(secret: string): Promise<Principal> {
    const hash = hashKeySecret(secret);
    const now = this.#clock.now();
    const cached = this.#cache.find(hash, now);
    if (cached !== undefined) {
      this.#touch(cached, now);
      return cached.principal;
    }
    const { generation } = this.#cache;
    const found = await this.#store.findKeyByHash(hash);
    if (found === undefined) throw new CaissonError('UNAUTHORIZED', 'This API key is not known here.');
    const { key, user } = found;
    if (key.revokedAt !== null) throw new CaissonError('UNAUTHORIZED', `API key ${key.id} was revoked.`);
    const entry = {
      principal: { userId: user.id, userName: user.name, role: user.role, keyId: key.id },
      touchedAt: key.lastUsedAt ?? 0,
    };
    this.#cache.remember(hash, entry, { now, generation });
    this.#touch(entry, now);
    return entry.principal;
  }

  /**
   * Makes a key, and its user if there is none of that name yet.
   *
   * @throws CaissonError FORBIDDEN for members; NAME_TAKEN when the user exists with another role.
   */
  async create(
    by: Principal,
    request: { readonly user: string; readonly role: Role; readonly name: string },
  ): Promise<NewKey> {
    if (by.role !== 'admin') throw new CaissonError('FORBIDDEN', 'Only administrators make API keys.');
    return await this.issue(request);
  }

  /** As `create`, for the control plane itself. */
  async issue(request: {
    readonly user: string;
    readonly role: Role;
    readonly name: string;
    readonly secret?: string;
  }): Promise<NewKey> {
    const { role, name, secret = newKeySecret() } = request;
    const now = this.#clock.now();
    const user = await this.#store.insertUser({ id: newUserId(), name: request.user, role, createdAt: now });
    if (user.role !== role) {
      throw new CaissonError('NAME_TAKEN', `User ${user.name} exists already, as ${user.role}.`, {
        hint: `Ask for role ${user.role}, or choose another user name.`,
        details: { user: user.name, role: user.role },
      });
    }
    const key: ApiKey = {
      id: newKeyId(),
      userId: user.id,
      name,
      prefix: keyPrefix(secret),
      createdAt: now,
      lastUsedAt: null,
      revokedAt: null,
    };
    await this.#store.insertKey(key, hashKeySecret(secret));
    return { key, user, secret };
  }

  /** As people know the user; undefined where there is none. */
  async userName(id: UserId): Promise<string | undefined> {
    return (await this.#store.findUser(id))?.name;
  }

  /** Everyone's for administrators, otherwise the caller's own; newest first; at most 1,000. */
  async list(by: Principal): Promise<readonly KeyWithUser[]> {
    return await this.#store.listKeys(by.role === 'admin' ? null : by.userId);
  }

  /**
   * Revokes a key. From this moment on no call gets in with it; those that listen (`onRevoked`) end what it has open.
   * Revoking twice is no error.
   *
   * @throws CaissonError KEY_NOT_FOUND, also for someone else's key; LAST_ADMIN_KEY.
   */
  async revoke(by: Principal, keyId: KeyId): Promise<KeyWithUser> {
    const found = await this.#store.findKey(keyId);
    if (found === undefined || (by.role !== 'admin' && found.user.id !== by.userId)) {
      throw new CaissonError('KEY_NOT_FOUND', `There is no API key ${keyId}.`);
    }
    const outcome = await this.#store.revokeKey(keyId, this.#clock.now());
    this.#cache.clear();
    if (outcome === 'last_admin_key') {
      throw new CaissonError('LAST_ADMIN_KEY', `${keyId} is the last key of an administrator.`);
    }
    for (const listener of this.#revocationListeners) listener(keyId);
    return (await this.#store.findKey(keyId)) ?? found;
  }

  /** Calls `listener`, which must not throw, for every key that is revoked. The returned function takes it back. */
  onRevoked(listener: (keyId: KeyId) => void): () => void {
    this.#revocationListeners.add(listener);
    return () => this.#revocationListeners.delete(listener);
  }

  /** Resolves when nothing is being written any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#touches);
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
