import { CaissonError } from '../../kernel/errors.ts';
import { type KeyId, newKeyId } from '../../kernel/ids.ts';
import type { SteadyClock } from '../../kernel/steady-clock.ts';
import type { ApiKey, Principal, SignIn, User } from '../auth/identity.ts';
import { hashKeySecret, keyPrefix } from '../auth/key-secret.ts';
import type { KeyService } from '../auth/key-service.ts';
import { newSessionSecret } from '../auth/session-secret.ts';
import type { LoginStore } from './login-store.ts';
import type { EndReason, SessionLog, Visitor, Whose } from './session-log.ts';

interface SessionServiceOptions {
  readonly store: Pick<LoginStore, 'insertSession' | 'listSessions' | 'endSessions' | 'endSessionsByTime'>;
  readonly keys: Pick<KeyService, 'ended'>;
  readonly log: SessionLog;
  readonly clock: Pick<SteadyClock, 'now' | 'certain'>;
  /** After how long without a request a session ends. */
  readonly idleMs: number;
  /** When it ends whatever happens. */
  readonly lifeMs: number;
}

interface Beginning {
  readonly signedInBy: SignIn;
  /** The hash of the password that was checked; null: none was. */
  readonly passwordHash: string | null;
  readonly visitor: Visitor;
  readonly replaces: Principal | undefined;
}

/** A session that has just begun. */
export interface NewSession {
  readonly session: ApiKey;
  /** For the cookie; it is not stored. */
  readonly secret: string;
}

/** So far may what a session began at lie ahead, as where a clock that is kept right is put back. */
const aheadMs = 60_000;
/** Open sessions of one user; the next one ends the oldest. */
const mostSessions = 50;

/**
 * Sessions of browsers. They are keys with which all that their user may do can be done, making keys too; what is open through one
 * ends with it, at once.
 */
export class SessionService {
  readonly #options: SessionServiceOptions;

  constructor(options: SessionServiceOptions) {
    this.#options = options;
  }

  /**
   * Begins one, with a secret of its own; `replaces`, the session that the browser had, ends. Undefined where the user has been
   * disabled meanwhile, or has not the password any more that it came in with.
   */
  async begin(user: Pick<User, 'id' | 'name'>, by: Beginning): Promise<NewSession | undefined> {
    const { store, clock, log, lifeMs } = this.#options;
    const now = clock.now();
    const secret = newSessionSecret();
    const session: ApiKey = {
      id: newKeyId(),
      userId: user.id,
      name: by.visitor.browser,
      prefix: keyPrefix(secret),
      scopes: null,
      agents: null,
      mayIssue: true,
      createdAt: now,
      expiresAt: now + lifeMs,
      lastUsedAt: null,
      revokedAt: null,
      signedInBy: by.signedInBy,
    };
    const options = { most: mostSessions, passwordHash: by.passwordHash };
    const beyond = await store.insertSession(session, hashKeySecret(secret), options);
    if (beyond === undefined) return undefined;
    const whose = { userId: user.id, userName: user.name };
    log.created({ whose, sessionId: session.id, signedInBy: by.signedInBy, visitor: by.visitor });
    this.ended(whose, beyond, 'too_many_sessions');
    if (by.replaces !== undefined) await this.#end(by.replaces, by.replaces.keyId, 'signed_in_again');
    return { session, secret };
  }

  /** The caller's own that can be used; newest first. A narrowed key sees none. */
  async list(by: Principal): Promise<readonly ApiKey[]> {
    if (by.scopes !== null || by.agents !== null) return [];
    const { store, clock, idleMs } = this.#options;
    const now = clock.now();
    const sessions = await store.listSessions(by.userId);
    return sessions.filter(
      ({ expiresAt, lastUsedAt, createdAt }) =>
        (expiresAt ?? Infinity) > now && (lastUsedAt ?? createdAt) + idleMs > now,
    );
  }

  /** Ends one of the caller's own. Errors: KEY_NOT_FOUND, also for one that is over. */
  async revoke(by: Principal, id: KeyId): Promise<void> {
    const own = (await this.list(by)).some((session) => session.id === id);
    if (!own)
      throw new CaissonError('KEY_NOT_FOUND', `You have no session ${id}.`, { hint: 'It may have ended already.' });
    await this.#end(by, id, 'revoked');
  }

  /** Ends the session that the caller came with. */
  async signOut(by: Principal): Promise<void> {
    await this.#end(by, by.keyId, 'signed_out');
  }

  /** Ends all of the caller's own, also the one that it came with; answers how many. A narrowed key ends none. */
  async signOutEverywhere(by: Principal): Promise<number> {
    if (by.scopes !== null || by.agents !== null) return 0;
    const at = this.#options.clock.now();
    const ended = await this.#options.store.endSessions(by.userId, { at });
    this.ended(by, ended, 'signed_out');
    return ended.length;
  }

  /**
   * Ends everyone's whose time is over for certain: what has ended does not come back. Nobody gets in with one that is over by a
   * clock that is in doubt; it is only not ended for good. One that has begun at a time that is still to come was begun by a clock that
   * was ahead, and would live as much longer.
   */
  async endByTime(): Promise<void> {
    const { store, clock, idleMs } = this.#options;
    const now = clock.certain();
    if (now === undefined) return;
    const newest = clock.now() + aheadMs;
    for (const { id, reason, ...whose } of await store.endSessionsByTime({ now, idleMs, newest })) {
      this.ended(whose, [id], reason);
    }
  }

  /** These sessions of a user are over, and the store knows it. */
  ended(whose: Whose, ids: readonly KeyId[], reason: EndReason): void {
    if (ids.length === 0) return;
    this.#options.keys.ended(ids);
    this.#options.log.ended({ whose, sessionIds: ids, reason });
  }

  async #end(whose: Whose, id: KeyId, reason: EndReason): Promise<void> {
    const at = this.#options.clock.now();
    this.ended(whose, await this.#options.store.endSessions(whose.userId, { only: id, at }), reason);
  }
}
