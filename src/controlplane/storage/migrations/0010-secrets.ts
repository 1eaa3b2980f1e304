import type { Kysely } from 'kysely';

/** Secrets for hosts, sealed, and the authorities under which the gateway speaks for these hosts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('secrets')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('user_id', 'text', (column) => column.references('users.id').onDelete('cascade'))
    .addColumn('agent_id', 'text', (column) => column.references('agents.id').onDelete('cascade'))
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('port', 'integer', (column) => column.notNull())
    .addColumn('form', 'text', (column) => column.notNull())
    .addColumn('key_version', 'integer', (column) => column.notNull())
    .addColumn('sealed', 'text', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('last_used_at', 'bigint')
    .addUniqueConstraint('secrets_place', ['scope', 'host', 'port'])
    .execute();
  await db.schema.createIndex('secrets_by_scope').on('secrets').columns(['scope', 'ordinal']).execute();
  await db.schema.createIndex('secrets_by_user').on('secrets').column('user_id').execute();
  await db.schema.createIndex('secrets_by_agent').on('secrets').column('agent_id').execute();
  await db.schema
    .createTable('agent_authorities')
    .addColumn('agent_id', 'text', (column) => column.primaryKey().references('agents.id').onDelete('cascade'))
    .addColumn('certificate', 'text', (column) => column.notNull())
    .addColumn('key_version', 'integer', (column) => column.notNull())
    .addColumn('sealed', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .alterTable('egress_log')
    .addColumn('with_secret', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute();
}
