import type { Kysely, Selectable } from 'kysely';
import type { UserId } from '../../kernel/ids.ts';
import type { Role, User } from '../auth/identity.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database, UsersTable } from './database.ts';

const roleWithKey = compiledQuery<{ id: UserId }, { readonly role: Role }>((db, value) =>
  db
    .selectFrom('users')
    .innerJoin('api_keys', 'api_keys.user_id', 'users.id')
    .select('users.role')
    .where('users.id', '=', value('id'))
    .where('api_keys.revoked_at', 'is', null)
    .limit(1),
);

export async function find(db: Kysely<Database>, id: UserId): Promise<User | undefined> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toUser(row);
}

export async function liveRole(db: Kysely<Database>, id: UserId): Promise<Role | undefined> {
  const [row] = await roleWithKey(db, { id });
  return row?.role;
}

export async function findByName(db: Kysely<Database>, name: string): Promise<User | undefined> {
  const row = await db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst();
  return row && toUser(row);
}

/** Returns the user that has the name when there is one already. */
export async function insert(db: Kysely<Database>, user: User): Promise<User> {
  await db
    .insertInto('users')
    .values({ id: user.id, name: user.name, role: user.role, created_at: user.createdAt })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  return (await findByName(db, user.name)) ?? user;
}

function toUser(row: Selectable<UsersTable>): User {
  return { id: row.id, name: row.name, role: row.role, createdAt: row.created_at };
}
