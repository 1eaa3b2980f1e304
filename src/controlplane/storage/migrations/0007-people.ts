import type { Kysely } from 'kysely';

/** Users that can be disabled and invited, keys that can be narrowed, and agents that are shared. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('users').addColumn('disabled_at', 'bigint').execute();
  await db.schema
    .createTable('invitations')
    .addColumn('user_id', 'text', (column) => column.primaryKey().references('users.id').onDelete('cascade'))
    .addColumn('secret_hash', 'text', (column) => column.notNull().unique())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute();
  await narrowKeys(db);
  await db.schema
    .createTable('agent_shares')
    .addColumn('agent_id', 'text', (column) => column.notNull().references('agents.id').onDelete('cascade'))
    .addColumn('user_id', 'text', (column) => column.notNull().references('users.id').onDelete('cascade'))
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('agent_ordinal', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_shares_pk', ['agent_id', 'user_id'])
    .execute();
  await db.schema.createIndex('agent_shares_by_agent').on('agent_shares').columns(['agent_id', 'ordinal']).execute();
  await db.schema
    .createIndex('agent_shares_by_user')
    .on('agent_shares')
    .columns(['user_id', 'agent_ordinal'])
    .execute();
}

async function narrowKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('api_keys').addColumn('scopes', 'text').execute();
  await db.schema.alterTable('api_keys').addColumn('agents', 'text').execute();
  await db.schema
    .alterTable('api_keys')
    .addColumn('may_issue', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  await db.schema.alterTable('api_keys').addColumn('expires_at', 'bigint').execute();
  // The key in the data directory goes on making keys; those that it made do not.
  await db
    .withTables<{
      api_keys: { name: string; may_issue: number; user_id: string };
      users: { id: string; name: string };
    }>()
    .updateTable('api_keys')
    .set({ may_issue: 1 })
    .where('name', '=', 'admin.key')
    .where('user_id', 'in', (query) => query.selectFrom('users').select('users.id').where('users.name', '=', 'admin'))
    .execute();
}
