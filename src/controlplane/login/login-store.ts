import type { KeyId, UserId } from '../../kernel/ids.ts';
import type { ApiKey, User } from '../auth/identity.ts';

/** How a user signs in with a browser. */
export interface Login {
  readonly user: User;
  /** In lower case; no other user has it. An administrator gave it, or the identity provider has verified it. */
  readonly email: string;
  /** As `Passwords` makes them; null: it has none. */
  readonly passwordHash: string | null;
}

/** Somebody at an identity provider: neither ever stands for anybody else. */
export interface ExternalIdentity {
  readonly issuer: string;
  readonly subject: string;
}

/** By which it is told whose time is over. */
export interface SessionTimes {
  readonly now: number;
  /** How long one may go unused, in milliseconds. */
  readonly idleMs: number;
  /** When the last can have begun. */
  readonly newest: number;
}

/** A session whose time is over. */
export interface SessionEnd {
  readonly id: KeyId;
  readonly userId: UserId;
  readonly userName: string;
  /** What came first: it was not used for too long, or its life was over. */
  readonly reason: 'idle' | 'expired';
}

/** Where emails, password hashes, identities and sessions are kept. */
export interface LoginStore {
  findByEmail(email: string): Promise<Login | undefined>;
  findByUser(id: UserId): Promise<Login | undefined>;
  /** Of everyone who has one. */
  emails(): Promise<ReadonlyMap<UserId, string>>;
  /** False where it is another user's: nothing is changed then. Atomic. */
  putEmail(userId: UserId, email: string): Promise<boolean>;
  /** Sets another password and ends every session of the user: answers which. Undefined where it had not `from`. Atomic. */
  changePassword(
    userId: UserId,
    change: { readonly from: string; readonly to: string; readonly now: number },
  ): Promise<readonly KeyId[] | undefined>;
  /** Who may accept this invitation now. */
  findInvited(secretHash: string, now: number): Promise<Login | undefined>;
  /**
   * Spends an invitation, sets the password, and ends every session of its user: answers which. Undefined where it cannot be
   * accepted, or its user has no email: nothing is changed then. Atomic.
   */
  acceptInvitation(
    secretHash: string,
    accepted: { readonly passwordHash: string; readonly now: number },
  ): Promise<{ readonly user: User; readonly ended: readonly KeyId[] } | undefined>;

  findByIdentity(identity: ExternalIdentity): Promise<User | undefined>;
  /** Spends the invitation of the user with this email, and links the identity; undefined where nobody is invited. Atomic. */
  linkInvited(
    identity: ExternalIdentity,
    by: { readonly email: string; readonly now: number },
  ): Promise<User | undefined>;
  /** Stores a user that has the identity. False where its name or email is taken: nothing is changed then. Atomic. */
  insertLinked(login: Pick<Login, 'user' | 'email'>, identity: ExternalIdentity): Promise<boolean>;

  /**
   * Stores a session, forgets those of everyone that have ended, and ends the oldest ones of its user above `most`: answers
   * which. Undefined, and nothing is changed, where its user is disabled by now, or has not the password any more that was asked for (`passwordHash`; null: none was). Atomic.
   */
  insertSession(
    session: ApiKey,
    secretHash: string,
    options: { readonly most: number; readonly passwordHash: string | null },
  ): Promise<readonly KeyId[] | undefined>;
  /** Those that are not revoked; newest first. */
  listSessions(userId: UserId): Promise<readonly ApiKey[]>;
  /** Ends everyone's that were not used for `idleMs`, whose life is over, or that say that they have begun after `newest`; answers which. */
  endSessionsByTime(when: SessionTimes): Promise<readonly SessionEnd[]>;
  /** Ends those of one user that are not over, or one of them; answers which. */
  endSessions(userId: UserId, options: { readonly only?: KeyId; readonly at: number }): Promise<readonly KeyId[]>;
}
