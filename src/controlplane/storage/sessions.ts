import type { Kysely } from 'kysely';
import type { KeyId, UserId } from '../../kernel/ids.ts';
import type { ApiKey } from '../auth/identity.ts';
import type { SessionEnd, SessionTimes } from '../login/login-store.ts';
import * as keys from './api-keys.ts';
import type { Database } from './database.ts';
import * as logins from './logins.ts';
import * as users from './users.ts';

interface Options {
  readonly most: number;
  readonly passwordHash: string | null;
}

/** Needs a transaction. */
export async function insert(
  db: Kysely<Database>,
  session: ApiKey,
  secretHash: string,
  { most, passwordHash }: Options,
): Promise<readonly KeyId[] | undefined> {
  const user = await users.find(db, session.userId);
  if (user === undefined || user.disabledAt !== null) return undefined;
  if (passwordHash !== null && (await logins.findByUser(db, user.id))?.passwordHash !== passwordHash) return undefined;
  await forgetEnded(db);
  const live = await list(db, session.userId);
  const beyond = live.slice(most - 1).map(({ id }) => id);
  for (const id of beyond) await keys.revoke(db, id, session.createdAt);
  await keys.insert(db, session, secretHash);
  return beyond;
}

/** Newest first. */
export async function list(db: Kysely<Database>, userId: UserId): Promise<readonly ApiKey[]> {
  const rows = await keys
    .keysOfUsers(db)
    .where('api_keys.user_id', '=', userId)
    .where('api_keys.signed_in_by', 'is not', null)
    .where('api_keys.revoked_at', 'is', null)
    .orderBy('api_keys.ordinal', 'desc')
    .execute();
  return rows.map((row) => keys.toKeyOfUser(row).key);
}

export async function end(
  db: Kysely<Database>,
  userId: UserId,
  { only, at }: { readonly only?: KeyId; readonly at: number },
): Promise<readonly KeyId[]> {
  const all = db
    .updateTable('api_keys')
    .set({ revoked_at: at })
    .where('user_id', '=', userId)
    .where('signed_in_by', 'is not', null)
    .where('revoked_at', 'is', null)
    .returning('id');
  const rows = await (only === undefined ? all : all.where('id', '=', only)).execute();
  return rows.map(({ id }) => id);
}

export async function endByTime(
  db: Kysely<Database>,
  { now, idleMs, newest }: SessionTimes,
): Promise<readonly SessionEnd[]> {
  const rows = await db
    .updateTable('api_keys')
    .set({ revoked_at: now })
    .where('signed_in_by', 'is not', null)
    .where('revoked_at', 'is', null)
    .where((where) =>
      where.or([
        where('expires_at', '<=', now),
        where('created_at', '>', newest),
        where((each) => each.fn.coalesce('last_used_at', 'created_at'), '<=', now - idleMs),
      ]),
    )
    .returning(['id', 'user_id', 'expires_at', 'last_used_at', 'created_at'])
    .returning((row) =>
      row.selectFrom('users').select('users.name').whereRef('users.id', '=', 'api_keys.user_id').as('user_name'),
    )
    .execute();
  return rows.map((row) => {
    const idleAt = (row.last_used_at ?? row.created_at) + idleMs;
    const reason = (row.expires_at ?? Infinity) <= idleAt || row.created_at > newest ? 'expired' : 'idle';
    return { id: row.id, userId: row.user_id, userName: row.user_name ?? '', reason };
  });
}

/** Sessions are many, and nobody looks at those that have ended. */
async function forgetEnded(db: Kysely<Database>): Promise<void> {
  await db.deleteFrom('api_keys').where('signed_in_by', 'is not', null).where('revoked_at', 'is not', null).execute();
}
