import type { KeyId, UserId } from '../../kernel/ids.ts';

/** `admin` sees and manages everything; `member` sees its own agents only. */
export const roles = ['admin', 'member'] as const;
export type Role = (typeof roles)[number];

/** A person or a program that owns agents. */
export interface User {
  readonly id: UserId;
  /** Unique. */
  readonly name: string;
  readonly role: Role;
  readonly createdAt: number;
}

/** An API key. The secret itself is shown once, when it is made, and kept only as a SHA-256 hash: it has 256 bits of chance. */
export interface ApiKey {
  readonly id: KeyId;
  readonly userId: UserId;
  readonly name: string;
  /** The first characters of the secret, to tell keys apart. */
  readonly prefix: string;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

/** The authenticated caller. Always derived on the server. */
export interface Principal {
  readonly userId: UserId;
  readonly userName: string;
  readonly role: Role;
  readonly keyId: KeyId;
}

/** Where users and keys are kept. */
export interface IdentityStore {
  findUser(id: UserId): Promise<User | undefined>;
  /** The role of a user that has a key which is not revoked; undefined for anybody else. */
  liveRole(id: UserId): Promise<Role | undefined>;
  findUserByName(name: string): Promise<User | undefined>;
  /** Returns the user that has the name when there is one already. */
  insertUser(user: User): Promise<User>;
  insertKey(key: ApiKey, secretHash: string): Promise<void>;
  /** The key and its user, revoked or not. */
  findKeyByHash(secretHash: string): Promise<{ readonly key: ApiKey; readonly user: User } | undefined>;
  findKey(id: KeyId): Promise<{ readonly key: ApiKey; readonly user: User } | undefined>;
  /** Of one user, or of everyone when null; newest first; at most 1,000. */
  listKeys(userId: UserId | null): Promise<readonly { readonly key: ApiKey; readonly user: User }[]>;
  /**
   * Revokes the key unless it is the last live key of an admin; says which of the three it was. Atomic.
   */
  revokeKey(id: KeyId, at: number): Promise<'revoked' | 'already_revoked' | 'last_admin_key'>;
  touchKey(id: KeyId, at: number): Promise<void>;
}
