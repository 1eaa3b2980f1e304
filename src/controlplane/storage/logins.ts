import type { Kysely } from 'kysely';
import type { UserId } from '../../kernel/ids.ts';
import type { User } from '../auth/identity.ts';
import type { ExternalIdentity, Login } from '../login/login-store.ts';
import type { Database } from './database.ts';
import * as users from './users.ts';

export async function findByEmail(db: Kysely<Database>, email: string): Promise<Login | undefined> {
  const row = await db.selectFrom('logins').selectAll().where('email', '=', email).executeTakeFirst();
  return row && (await loginOf(db, row));
}

export async function findByUser(db: Kysely<Database>, id: UserId): Promise<Login | undefined> {
  const row = await db.selectFrom('logins').selectAll().where('user_id', '=', id).executeTakeFirst();
  return row && (await loginOf(db, row));
}

export async function emails(db: Kysely<Database>): Promise<ReadonlyMap<UserId, string>> {
  const rows = await db.selectFrom('logins').select(['user_id', 'email']).execute();
  return new Map(rows.map((row) => [row.user_id, row.email]));
}

/** Needs a transaction. */
export async function putEmail(db: Kysely<Database>, userId: UserId, email: string): Promise<boolean> {
  const holder = await findByEmail(db, email);
  if (holder !== undefined) return holder.user.id === userId;
  await db
    .insertInto('logins')
    .values({ user_id: userId, email, password_hash: null })
    .onConflict((conflict) => conflict.column('user_id').doUpdateSet({ email }))
    .execute();
  return true;
}

export async function setPassword(db: Kysely<Database>, userId: UserId, passwordHash: string): Promise<void> {
  await db.updateTable('logins').set({ password_hash: passwordHash }).where('user_id', '=', userId).execute();
}

export async function findByIdentity(
  db: Kysely<Database>,
  { issuer, subject }: ExternalIdentity,
): Promise<User | undefined> {
  const row = await db
    .selectFrom('login_identities')
    .select('user_id')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
  return row && (await users.find(db, row.user_id));
}

export async function link(db: Kysely<Database>, userId: UserId, identity: ExternalIdentity): Promise<void> {
  await db
    .insertInto('login_identities')
    .values({ user_id: userId, ...identity })
    .execute();
}

/** Needs a transaction. */
export async function insertLinked(
  db: Kysely<Database>,
  { user, email }: Pick<Login, 'user' | 'email'>,
  identity: ExternalIdentity,
): Promise<boolean> {
  if ((await findByEmail(db, email)) !== undefined) return false;
  if ((await users.findByName(db, user.name)) !== undefined) return false;
  await users.insert(db, user);
  await putEmail(db, user.id, email);
  await link(db, user.id, identity);
  return true;
}

async function loginOf(
  db: Kysely<Database>,
  row: { readonly user_id: UserId; readonly email: string; readonly password_hash: string | null },
): Promise<Login | undefined> {
  const user = await users.find(db, row.user_id);
  return user && { user, email: row.email, passwordHash: row.password_hash };
}
