import type { Kysely } from 'kysely';
import type { ApiKey, Invitation, KeyWithUser, User } from '../auth/identity.ts';
import * as keys from './api-keys.ts';
import type { Database } from './database.ts';
import * as users from './users.ts';

export async function put(db: Kysely<Database>, invitation: Invitation, secretHash: string): Promise<void> {
  const fields = {
    secret_hash: secretHash,
    created_at: invitation.createdAt,
    expires_at: invitation.expiresAt,
  };
  await db
    .insertInto('invitations')
    .values({ user_id: invitation.userId, ...fields })
    .onConflict((conflict) => conflict.column('user_id').doUpdateSet(fields))
    .execute();
}

export async function list(db: Kysely<Database>): Promise<readonly Invitation[]> {
  const rows = await db
    .selectFrom('invitations')
    .select(['user_id', 'created_at', 'expires_at'])
    .orderBy('user_id', 'desc')
    .execute();
  return rows.map((row) => ({ userId: row.user_id, createdAt: row.created_at, expiresAt: row.expires_at }));
}

/** Needs a transaction. */
export async function accept(
  db: Kysely<Database>,
  { secretHash, now }: { readonly secretHash: string; readonly now: number },
  makeKey: (user: User) => { readonly key: ApiKey; readonly secretHash: string },
): Promise<KeyWithUser | undefined> {
  const found = await db
    .selectFrom('invitations')
    .select(['user_id', 'expires_at'])
    .where('secret_hash', '=', secretHash)
    .executeTakeFirst();
  if (found === undefined || found.expires_at <= now) return undefined;
  const user = await users.find(db, found.user_id);
  if (user === undefined || user.disabledAt !== null) return undefined;
  await db.deleteFrom('invitations').where('user_id', '=', user.id).execute();
  const made = makeKey(user);
  await keys.insert(db, made.key, made.secretHash);
  return { key: made.key, user };
}
