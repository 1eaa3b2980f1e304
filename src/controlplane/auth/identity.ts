import type { AgentId, KeyId, UserId } from '../../kernel/ids.ts';
import type { Scope } from './needs.ts';

/**
 * `admin` sees and manages everything; `member` has agents of its own, and those that are shared with it; `auditor` reads
 * what is about people, usage and the audit, and has no agents.
 */
export const roles = ['admin', 'member', 'auditor'] as const;
export type Role = (typeof roles)[number];

/** A person or a program that owns agents. */
export interface User {
  readonly id: UserId;
  /** Unique. */
  readonly name: string;
  readonly role: Role;
  readonly createdAt: number;
  /** Since when nobody gets in as this user; null for one who may. */
  readonly disabledAt: number | null;
}

/** What narrows an API key within what its user may. */
export interface KeyLimits {
  /** Null: all. */
  readonly scopes: readonly Scope[] | null;
  /** The agents that it reaches, of those that its user does; null: all. */
  readonly agents: readonly AgentId[] | null;
}

/** How somebody signed in with a browser. */
export type SignIn = 'password' | 'oidc';

/**
 * An API key, or the session of a browser: that is a key which is made by signing in, lives in a cookie, and ends when it is
 * not used. The secret itself is shown once, when it is made, and kept only as a
 * SHA-256 hash: it has 256 bits of chance.
 */
export interface ApiKey extends KeyLimits {
  readonly id: KeyId;
  readonly userId: UserId;
  /** Of a session: what the browser calls itself. */
  readonly name: string;
  /** The first characters of the secret, to tell keys apart. */
  readonly prefix: string;
  /** Whether it can make other keys: only sessions can, and the key that the control plane writes into its data directory. */
  readonly mayIssue: boolean;
  readonly createdAt: number;
  /** Null: it does not expire. */
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
  /** Null: it is no session. */
  readonly signedInBy: SignIn | null;
}

/** The authenticated caller. Always derived on the server. */
export interface Principal extends KeyLimits {
  readonly userId: UserId;
  readonly userName: string;
  readonly role: Role;
  readonly keyId: KeyId;
  /** Whether what it came with can make keys. */
  readonly mayIssue: boolean;
  /** Null: it came with an API key, and not with the session of a browser. */
  readonly signedInBy: SignIn | null;
}

export interface KeyWithUser {
  readonly key: ApiKey;
  readonly user: User;
}

/** A way in: its secret is exchanged for a key, or for a session and a password, once. */
export interface Invitation {
  readonly userId: UserId;
  /** For who has been in before, and is to sign in anew. */
  readonly isReset: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Where users, keys and invitations are kept. */
export interface IdentityStore {
  findUser(id: UserId): Promise<User | undefined>;
  /**
   * The role of a user who is not disabled and can come in: by a key that is neither revoked nor expired, by a password, or by
   * an identity at the provider. Undefined for anybody else.
   */
  liveRole(id: UserId, now: number): Promise<Role | undefined>;
  findUserByName(name: string): Promise<User | undefined>;
  /** Newest first; at most 1,000. */
  listUsers(): Promise<readonly User[]>;
  /** Returns the user that has the name when there is one already. */
  insertUser(user: User): Promise<User>;
  /**
   * Lets nobody in as this user any more: revokes its keys and sessions, and voids its invitation and its password. Answers
   * which keys it ended; doing it
   * twice is no error. `last_admin` where no other administrator would have a full key: nothing is changed then. Atomic.
   */
  disableUser(id: UserId, at: number): Promise<readonly KeyId[] | 'last_admin'>;
  enableUser(id: UserId): Promise<void>;
  /** With its keys, invitation and shares. False where it still owns agents: nothing is changed then. Atomic. */
  deleteUser(id: UserId): Promise<boolean>;

  insertKey(key: ApiKey, secretHash: string): Promise<void>;
  /** The key and its user, revoked or not. */
  findKeyByHash(secretHash: string): Promise<KeyWithUser | undefined>;
  findKey(id: KeyId): Promise<KeyWithUser | undefined>;
  /** Of one user, or of everyone when null; without sessions; newest first; at most 1,000. */
  listKeys(userId: UserId | null): Promise<readonly KeyWithUser[]>;
  /** Of one user: all that are not revoked, sessions too. */
  listLiveKeyIds(userId: UserId): Promise<readonly KeyId[]>;
  /**
   * Revokes the key unless it is the last full key of an admin: one that nothing narrows and that does not expire. Says which
   * of the three it was. Atomic.
   */
  revokeKey(id: KeyId, at: number): Promise<'revoked' | 'already_revoked' | 'last_admin_key'>;
  touchKey(id: KeyId, at: number): Promise<void>;

  /** Takes the place of an earlier one of the user. */
  putInvitation(invitation: Invitation, secretHash: string): Promise<void>;
  /** Expired ones too. */
  listInvitations(): Promise<readonly Invitation[]>;
  /**
   * Spends an invitation that is not expired and no reset, and stores the key for its user; undefined where there is no such
   * invitation. `key` makes the key from its user. Atomic.
   */
  acceptInvitation(
    secretHash: string,
    now: number,
    key: (user: User) => { readonly key: ApiKey; readonly secretHash: string },
  ): Promise<KeyWithUser | undefined>;
}
