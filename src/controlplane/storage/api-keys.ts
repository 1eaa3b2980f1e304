import type { Kysely } from 'kysely';
import { CaissonError } from '../../kernel/errors.ts';
import type { KeyId, UserId } from '../../kernel/ids.ts';
import type { ApiKey, User } from '../auth/identity.ts';
import type { Database } from './database.ts';
import { nextOrdinal } from './ordinals.ts';

interface KeyOfUser {
  readonly key: ApiKey;
  readonly user: User;
}

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
    })
    .execute();
}

export async function findByHash(db: Kysely<Database>, secretHash: string): Promise<KeyOfUser | undefined> {
  const row = await keysOfUsers(db).where('api_keys.secret_hash', '=', secretHash).executeTakeFirst();
  return row && toKeyOfUser(row);
}

export async function find(db: Kysely<Database>, id: KeyId): Promise<KeyOfUser | undefined> {
  const row = await keysOfUsers(db).where('api_keys.id', '=', id).executeTakeFirst();
  return row && toKeyOfUser(row);
}

export async function list(db: Kysely<Database>, userId: UserId | null): Promise<readonly KeyOfUser[]> {
  const all = keysOfUsers(db).orderBy('api_keys.ordinal', 'desc').limit(maxListed);
  const wanted = userId === null ? all : all.where('api_keys.user_id', '=', userId);
  return (await wanted.execute()).map(toKeyOfUser);
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
  if (found.user.role === 'admin' && !(await isOtherAdminKeyLive(db, id))) return 'last_admin_key';
  await db.updateTable('api_keys').set({ revoked_at: at }).where('id', '=', id).execute();
  return 'revoked';
}

export async function touch(db: Kysely<Database>, id: KeyId, at: number): Promise<void> {
  await db.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', id).execute();
}

async function isOtherAdminKeyLive(db: Kysely<Database>, id: KeyId): Promise<boolean> {
  const other = await db
    .selectFrom('users')
    .innerJoin('api_keys', 'api_keys.user_id', 'users.id')
    .select('api_keys.id')
    .where('users.role', '=', 'admin')
    .where('api_keys.revoked_at', 'is', null)
    .where('api_keys.id', '!=', id)
    .limit(1)
    .executeTakeFirst();
  return other !== undefined;
}

function keysOfUsers(db: Kysely<Database>) {
  return db
    .selectFrom('api_keys')
    .innerJoin('users', 'users.id', 'api_keys.user_id')
    .select(['api_keys.id', 'api_keys.user_id', 'api_keys.name', 'api_keys.prefix', 'api_keys.created_at'])
    .select(['api_keys.last_used_at', 'api_keys.revoked_at'])
    .select(['users.name as user_name', 'users.role as user_role', 'users.created_at as user_created_at']);
}

type KeyRow = Awaited<ReturnType<ReturnType<typeof keysOfUsers>['executeTakeFirstOrThrow']>>;

function toKeyOfUser(row: KeyRow): KeyOfUser {
  return {
    key: {
      id: row.id,
      userId: row.user_id,
      name: row.name,
      prefix: row.prefix,
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
      revokedAt: row.revoked_at,
    },
    user: { id: row.user_id, name: row.user_name, role: row.user_role, createdAt: row.user_created_at },
  };
}
