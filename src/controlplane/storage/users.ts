import type { Kysely, Selectable } from 'kysely';
import type { KeyId, UserId } from '../../kernel/ids.ts';
import type { Role, User } from '../auth/identity.ts';
import * as keys from './api-keys.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database, UsersTable } from './database.ts';

/** As many as are ever listed. */
const maxListed = 1_000;

const keysOfUser = compiledQuery<{ id: UserId }, { readonly role: Role; readonly expires_at: number | null }>(
  (db, value) =>
    db
      .selectFrom('users')
      .innerJoin('api_keys', 'api_keys.user_id', 'users.id')
      .select(['users.role', 'api_keys.expires_at'])
      .where('users.id', '=', value('id'))
      .where('users.disabled_at', 'is', null)
      .where('api_keys.revoked_at', 'is', null),
);
const signInsOfUser = compiledQuery<{ id: UserId }, { readonly role: Role }>((db, value) =>
  db
    .selectFrom('users')
    .leftJoin('logins', 'logins.user_id', 'users.id')
    .leftJoin('login_identities', 'login_identities.user_id', 'users.id')
    .select('users.role')
    .where('users.id', '=', value('id'))
    .where('users.disabled_at', 'is', null)
    .where((where) =>
      where.or([where('logins.password_hash', 'is not', null), where('login_identities.subject', 'is not', null)]),
    )
    .limit(1),
);
const byId = compiledQuery<{ id: UserId }, Selectable<UsersTable>>((db, value) =>
  db.selectFrom('users').selectAll().where('id', '=', value('id')),
);

export async function find(db: Kysely<Database>, id: UserId): Promise<User | undefined> {
  const [row] = await byId(db, { id });
  return row && toUser(row);
}

export async function liveRole(db: Kysely<Database>, id: UserId, now: number): Promise<Role | undefined> {
  const live = (await keysOfUser(db, { id })).find(({ expires_at: at }) => at === null || at > now);
  if (live !== undefined) return live.role;
  const [signIn] = await signInsOfUser(db, { id });
  return signIn?.role;
}

export async function findByName(db: Kysely<Database>, name: string): Promise<User | undefined> {
  const row = await db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst();
  return row && toUser(row);
}

/** Ids begin with the time at which they were made. */
export async function list(db: Kysely<Database>): Promise<readonly User[]> {
  const rows = await db.selectFrom('users').selectAll().orderBy('id', 'desc').limit(maxListed).execute();
  return rows.map(toUser);
}

/** Returns the user that has the name when there is one already. */
export async function insert(db: Kysely<Database>, user: User): Promise<User> {
  await db
    .insertInto('users')
    .values({
      id: user.id,
      name: user.name,
      role: user.role,
      created_at: user.createdAt,
      disabled_at: user.disabledAt,
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  return (await findByName(db, user.name)) ?? user;
}

/** Needs a transaction. */
export async function disable(db: Kysely<Database>, id: UserId, at: number): Promise<readonly KeyId[] | 'last_admin'> {
  const user = await find(db, id);
  if (user?.role === 'admin' && (await keys.isLastFullAdmin(db, id))) return 'last_admin';
  await db
    .updateTable('users')
    .set({ disabled_at: at })
    .where('id', '=', id)
    .where('disabled_at', 'is', null)
    .execute();
  await db.deleteFrom('invitations').where('user_id', '=', id).execute();
  await db.updateTable('logins').set({ password_hash: null }).where('user_id', '=', id).execute();
  return await keys.revokeAll(db, id, at);
}

export async function enable(db: Kysely<Database>, id: UserId): Promise<void> {
  await db.updateTable('users').set({ disabled_at: null }).where('id', '=', id).execute();
}

/** Its rows in other tables go with it, by their foreign keys. Needs a transaction. */
export async function remove(db: Kysely<Database>, id: UserId): Promise<boolean> {
  const agent = await db.selectFrom('agents').select('id').where('owner_id', '=', id).limit(1).executeTakeFirst();
  if (agent !== undefined) return false;
  await db.deleteFrom('users').where('id', '=', id).execute();
  return true;
}

function toUser(row: Selectable<UsersTable>): User {
  return { id: row.id, name: row.name, role: row.role, createdAt: row.created_at, disabledAt: row.disabled_at };
}
