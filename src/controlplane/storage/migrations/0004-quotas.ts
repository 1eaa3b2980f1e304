import { type Kysely, sql } from 'kysely';

/** What users, agents and conversations may use, and what they have used. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createPolicies(db);
  await createLedger(db);
  await countAgents(db);
  await db.schema
    .alterTable('runs')
    .addColumn('when_busy', 'text', (column) => column.notNull().defaultTo('fail'))
    .execute();
}

async function createPolicies(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('quota_plans')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('limits', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('quota_policies')
    .addColumn('account', 'text', (column) => column.primaryKey())
    .addColumn('agent_id', 'text', (column) => column.references('agents.id').onDelete('cascade'))
    .addColumn('plan', 'text')
    .addColumn('time_zone', 'text')
    .addColumn('limits', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('quota_policies_by_agent').on('quota_policies').column('agent_id').execute();
  await db.schema.createIndex('quota_policies_by_plan').on('quota_policies').column('plan').execute();
}

async function createLedger(db: Kysely<unknown>): Promise<void> {
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

/** What agents take of the quotas of their owners, beside their rows, where an index finds it. */
async function countAgents(db: Kysely<unknown>): Promise<void> {
  for (const column of ['sandbox_up', 'history_bytes']) {
    await db.schema
      .alterTable('agents')
      .addColumn(column, 'bigint', (type) => type.notNull().defaultTo(0))
      .execute();
  }
  await db.schema.createIndex('agents_by_sandbox').on('agents').columns(['sandbox_up', 'owner_id']).execute();
  await sql`update agents set
    sandbox_up = case when sandbox like '{"state":"starting"%' or sandbox like '{"state":"running"%' then 1 else 0 end,
    history_bytes = (
      select coalesce(sum(octet_length(content)), 0) from messages where messages.agent_id = agents.id
    )`.execute(db);
}
