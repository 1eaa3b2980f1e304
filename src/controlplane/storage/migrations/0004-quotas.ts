import type { Kysely } from 'kysely';

/** What users, agents and conversations may use, and what they have used. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('quota_usage')
    .addColumn('account', 'text', (column) => column.notNull())
    .addColumn('dimension', 'text', (column) => column.notNull())
    .addColumn('agent_id', 'text', (column) => column.references('agents.id').onDelete('cascade'))
    .addColumn('used', 'bigint', (column) => column.notNull())
    .addColumn('resets_at', 'bigint')
    .addPrimaryKeyConstraint('quota_usage_pk', ['account', 'dimension'])
    .execute();
  await db.schema.createIndex('quota_usage_by_agent').on('quota_usage').column('agent_id').execute();
  await db.schema
    .createTable('quota_reservations')
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('account', 'text', (column) => column.notNull())
    .addColumn('dimension', 'text', (column) => column.notNull())
    .addColumn('amount', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('lifetime_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('quota_reservations_pk', ['id', 'account', 'dimension'])
    .execute();
  await db.schema
    .createIndex('quota_reservations_by_account')
    .on('quota_reservations')
    .columns(['account', 'dimension', 'expires_at', 'amount'])
    .execute();
  await db.schema.createIndex('quota_reservations_by_expiry').on('quota_reservations').column('expires_at').execute();
}
