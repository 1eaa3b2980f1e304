import type { Kysely } from 'kysely';

/** Who may connect to what, and what was connected to. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('egress_policies')
    .addColumn('scope', 'text', (column) => column.primaryKey())
    .addColumn('agent_id', 'text', (column) => column.references('agents.id').onDelete('cascade'))
    .addColumn('user_id', 'text', (column) => column.references('users.id').onDelete('cascade'))
    .addColumn('mode', 'text')
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('changed_by', 'text', (column) => column.notNull())
    .addColumn('changed_at', 'bigint', (column) => column.notNull())
    .addColumn('why', 'text')
    .execute();
  await db.schema.createIndex('egress_policies_by_agent').on('egress_policies').column('agent_id').execute();
  await db.schema.createIndex('egress_policies_by_user').on('egress_policies').column('user_id').execute();
  await db.schema
    .createTable('egress_rules')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('scope', 'text', (column) => column.notNull().references('egress_policies.scope').onDelete('cascade'))
    .addColumn('effect', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('added_by', 'text', (column) => column.notNull())
    .addColumn('added_at', 'bigint', (column) => column.notNull())
    .addColumn('why', 'text')
    .addColumn('expires_at', 'bigint')
    .execute();
  await db.schema.createIndex('egress_rules_by_scope').on('egress_rules').columns(['scope', 'ordinal']).execute();
  await db.schema.createIndex('egress_rules_by_expiry').on('egress_rules').column('expires_at').execute();
  await db.schema
    .createTable('egress_log')
    .addColumn('ordinal', 'bigint', (column) => column.primaryKey())
    .addColumn('agent_id', 'text', (column) => column.notNull().references('agents.id').onDelete('cascade'))
    .addColumn('hour', 'bigint', (column) => column.notNull())
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('port', 'integer', (column) => column.notNull())
    .addColumn('decision', 'text', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('rule', 'text', (column) => column.notNull())
    .addColumn('reason', 'text')
    .addColumn('connections', 'bigint', (column) => column.notNull())
    .addColumn('sent_bytes', 'bigint', (column) => column.notNull())
    .addColumn('received_bytes', 'bigint', (column) => column.notNull())
    .addColumn('duration_ms', 'bigint', (column) => column.notNull())
    .addColumn('first_at', 'bigint', (column) => column.notNull())
    .addColumn('last_at', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('egress_log_place', ['agent_id', 'hour', 'host', 'port', 'decision', 'outcome', 'rule'])
    .execute();
  await db.schema.createIndex('egress_log_by_agent').on('egress_log').columns(['agent_id', 'ordinal']).execute();
  await db.schema
    .createTable('egress_usage')
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .addColumn('owner_id', 'text', (column) => column.notNull())
    .addColumn('day', 'bigint', (column) => column.notNull())
    .addColumn('connections', 'bigint', (column) => column.notNull())
    .addColumn('denied', 'bigint', (column) => column.notNull())
    .addColumn('sent_bytes', 'bigint', (column) => column.notNull())
    .addColumn('received_bytes', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('egress_usage_key', ['agent_id', 'day'])
    .execute();
  await db.schema.createIndex('egress_usage_by_owner').on('egress_usage').columns(['owner_id', 'day']).execute();
  await db.schema.createIndex('egress_usage_by_day').on('egress_usage').column('day').execute();
}
