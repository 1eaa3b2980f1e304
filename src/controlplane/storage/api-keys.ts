import type { Kysely } from 'kysely';
import { CaissonError } from '../../kernel/errors.ts';
import type { KeyId, UserId } from '../../kernel/ids.ts';
import { isFull } from '../auth/full-key.ts';
import type { ApiKey, KeyWithUser } from '../auth/identity.ts';
import type { Database } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';

/** As many as are ever listed. */
const maxListed = 1_000;

export async function insert(db: Kysely<Database>, key: ApiKey, secretHash: string): Promise<void> {
  await db
    .insertInto('api_keys')
    .values({
      id: key.id,
      ordinal: nextOrdinal('api_keys'),
      user_id: key.userId,
      name: key.name,
      prefix: key.prefix,
      secret_hash: secretHash,
      created_at: key.createdAt,
      last_used_at: key.lastUsedAt,
      revoked_at: key.revokedAt,
      scopes: key.scopes && toJson(key.scopes),
      agents: key.agents && toJson(key.agents),
      may_issue: key.mayIssue ? 1 : 0,
      expires_at: key.expiresAt,
      signed_in_by: key.signedInBy,
    })
    .execute();
}

export async function findByHash(db: Kysely<Database>, secretHash: string): Promise<KeyWithUser | undefined> {
  const row = await keysOfUsers(db).where('api_keys.secret_hash', '=', secretHash).executeTakeFirst();
  return row && toKeyOfUser(row);
}

export async function find(db: Kysely<Database>, id: KeyId): Promise<KeyWithUser | undefined> {
  const row = await keysOfUsers(db).where('api_keys.id', '=', id).executeTakeFirst();
  return row && toKeyOfUser(row);
}

export async function list(db: Kysely<Database>, userId: UserId | null): Promise<readonly KeyWithUser[]> {
  const all = keysOfUsers(db)
    .where('api_keys.signed_in_by', 'is', null)
    .orderBy('api_keys.ordinal', 'desc')
    .limit(maxListed);
  const wanted = userId === null ? all : all.where('api_keys.user_id', '=', userId);
  return (await wanted.execute()).map(toKeyOfUser);
}

export async function listLiveIds(db: Kysely<Database>, userId: UserId): Promise<readonly KeyId[]> {
  const rows = await db
    .selectFrom('api_keys')
    .select('id')
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .execute();
  return rows.map(({ id }) => id);
}

/** Needs a transaction. Errors: KEY_NOT_FOUND. */
export async function revoke(
  db: Kysely<Database>,
  id: KeyId,
  at: number,
): Promise<'revoked' | 'already_revoked' | 'last_admin_key'> {
  const found = await find(db, id);
  if (found === undefined) throw new CaissonError('KEY_NOT_FOUND', `There is no key ${id}.`);
  if (found.key.revokedAt !== null) return 'already_revoked';
  if (found.user.role === 'admin' && isFull(found.key)) {
    const others = (await fullAdminKeys(db)).filter((key) => key.id !== id);
    if (others.length === 0) return 'last_admin_key';
  }
  await db.updateTable('api_keys').set({ revoked_at: at }).where('id', '=', id).execute();
  return 'revoked';
}

export async function touch(db: Kysely<Database>, id: KeyId, at: number): Promise<void> {
  await db.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', id).execute();
}

/** Of one user; answers which they were. */
export async function revokeAll(db: Kysely<Database>, userId: UserId, at: number): Promise<readonly KeyId[]> {
  const revoked = await db
    .updateTable('api_keys')
    .set({ revoked_at: at })
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .returning('id')
    .execute();
  return revoked.map(({ id }) => id);
}

/** Whether only this user is an administrator with a full key. */
export async function isLastFullAdmin(db: Kysely<Database>, userId: UserId): Promise<boolean> {
  const full = await fullAdminKeys(db);
  return full.length > 0 && full.every((key) => key.user_id === userId);
}

/** As `isFull` has it, of users that are not disabled. */
async function fullAdminKeys(db: Kysely<Database>) {
  return await db
    .selectFrom('users')
    .innerJoin('api_keys', 'api_keys.user_id', 'users.id')
    .select(['api_keys.id', 'api_keys.user_id'])
    .where('users.role', '=', 'admin')
    .where('users.disabled_at', 'is', null)
    .where('api_keys.revoked_at', 'is', null)
    .where('api_keys.expires_at', 'is', null)
    .where('api_keys.scopes', 'is', null)
    .where('api_keys.agents', 'is', null)
    .execute();
}

/** Sessions too. */
export function keysOfUsers(db: Kysely<Database>) {
  return db
    .selectFrom('api_keys')
    .innerJoin('users', 'users.id', 'api_keys.user_id')
    .select(['api_keys.id', 'api_keys.user_id', 'api_keys.name', 'api_keys.prefix', 'api_keys.created_at'])
    .select(['api_keys.last_used_at', 'api_keys.revoked_at', 'api_keys.scopes', 'api_keys.agents'])
    .select(['api_keys.may_issue', 'api_keys.expires_at', 'api_keys.signed_in_by'])
    .select('users.disabled_at as user_disabled_at')
    .select(['users.name as user_name', 'users.role as user_role', 'users.created_at as user_created_at']);
}

type KeyRow = Awaited<ReturnType<ReturnType<typeof keysOfUsers>['executeTakeFirstOrThrow']>>;

export function toKeyOfUser(row: KeyRow): KeyWithUser {
  return {
    key: {
      id: row.id,
      userId: row.user_id,
      name: row.name,
      prefix: row.prefix,
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
      revokedAt: row.revoked_at,
      scopes: row.scopes && fromJson(row.scopes),
      agents: row.agents && fromJson(row.agents),
      mayIssue: row.may_issue === 1,
      expiresAt: row.expires_at,
      signedInBy: row.signed_in_by,
    },
    user: {
      id: row.user_id,
      name: row.user_name,
      role: row.user_role,
      createdAt: row.user_created_at,
      disabledAt: row.user_disabled_at,
    },
  };
}
