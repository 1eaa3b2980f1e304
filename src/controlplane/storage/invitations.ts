import type { Kysely } from 'kysely';
import type { UserId } from '../../kernel/ids.ts';
import type { ApiKey, Invitation, KeyWithUser, User } from '../auth/identity.ts';
import * as keys from './api-keys.ts';
import type { Database } from './database.ts';
import * as users from './users.ts';

export async function put(db: Kysely<Database>, invitation: Invitation, secretHash: string): Promise<void> {
  const fields = {
    secret_hash: secretHash,
    created_at: invitation.createdAt,
    expires_at: invitation.expiresAt,
    is_reset: invitation.isReset ? (1 as const) : (0 as const),
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
    .select(['user_id', 'created_at', 'expires_at', 'is_reset'])
    .orderBy('user_id', 'desc')
    .execute();
  return rows.map((row) => ({
    userId: row.user_id,
    isReset: row.is_reset === 1,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }));
}

/** Needs a transaction. One to sign in anew is for a browser, and stays. */
export async function accept(
  db: Kysely<Database>,
  { secretHash, now }: { readonly secretHash: string; readonly now: number },
  makeKey: (user: User) => { readonly key: ApiKey; readonly secretHash: string },
): Promise<KeyWithUser | undefined> {
  const user = await invited(db, { secretHash, now }, { isReset: false });
  if (user === undefined) return undefined;
  await spend(db, user.id);
  const made = makeKey(user);
  await keys.insert(db, made.key, made.secretHash);
  return { key: made.key, user };
}

/** Whose invitation this is, while it may be accepted. `isReset`: only such a one; default: either. */
export async function invited(
  db: Kysely<Database>,
  { secretHash, now }: { readonly secretHash: string; readonly now: number },
  { isReset }: { readonly isReset?: boolean } = {},
): Promise<User | undefined> {
  const found = await db
    .selectFrom('invitations')
    .select(['user_id', 'expires_at', 'is_reset'])
    .where('secret_hash', '=', secretHash)
    .executeTakeFirst();
  if (found === undefined || found.expires_at <= now) return undefined;
  if (isReset !== undefined && isReset !== (found.is_reset === 1)) return undefined;
  const user = await users.find(db, found.user_id);
  return user === undefined || user.disabledAt !== null ? undefined : user;
}

/** That of one user, expired or not. */
export async function of(db: Kysely<Database>, userId: UserId): Promise<{ readonly expiresAt: number } | undefined> {
  const row = await db.selectFrom('invitations').select('expires_at').where('user_id', '=', userId).executeTakeFirst();
  return row && { expiresAt: row.expires_at };
}

export async function spend(db: Kysely<Database>, userId: UserId): Promise<void> {
  await db.deleteFrom('invitations').where('user_id', '=', userId).execute();
}
