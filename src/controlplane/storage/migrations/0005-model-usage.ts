import type { Kysely } from 'kysely';

/** What calls of models took. It outlives the agents, so it refers to none. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('model_calls')
    .addColumn('ordinal', 'bigint', (column) => column.primaryKey())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('user_id', 'text', (column) => column.notNull())
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .addColumn('conversation_id', 'text')
    .addColumn('run_id', 'text')
    .addColumn('upstream', 'text', (column) => column.notNull())
    .addColumn('api', 'text', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('input_tokens', 'bigint', (column) => column.notNull())
    .addColumn('cached_input_tokens', 'bigint', (column) => column.notNull())
    .addColumn('cache_write_tokens', 'bigint', (column) => column.notNull())
    .addColumn('output_tokens', 'bigint', (column) => column.notNull())
    .addColumn('reasoning_tokens', 'bigint', (column) => column.notNull())
    .addColumn('cost_micros', 'bigint', (column) => column.notNull())
    .addColumn('estimated', 'integer', (column) => column.notNull())
    .addColumn('price_version', 'text', (column) => column.notNull())
    .addColumn('ms', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('model_calls_by_agent').on('model_calls').columns(['agent_id', 'ordinal']).execute();
  await db.schema
    .createIndex('model_calls_by_conversation')
    .on('model_calls')
    .columns(['conversation_id', 'agent_id', 'ordinal'])
    .execute();
  await db.schema
    .createIndex('model_calls_by_run')
    .on('model_calls')
    .columns(['run_id', 'agent_id', 'ordinal'])
    .execute();
  await db.schema
    .createTable('model_totals')
    .addColumn('day', 'text', (column) => column.notNull())
    .addColumn('user_id', 'text', (column) => column.notNull())
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('calls', 'bigint', (column) => column.notNull())
    .addColumn('estimated_calls', 'bigint', (column) => column.notNull())
    .addColumn('unpriced_calls', 'bigint', (column) => column.notNull())
    .addColumn('input_tokens', 'bigint', (column) => column.notNull())
    .addColumn('cached_input_tokens', 'bigint', (column) => column.notNull())
    .addColumn('cache_write_tokens', 'bigint', (column) => column.notNull())
    .addColumn('output_tokens', 'bigint', (column) => column.notNull())
    .addColumn('reasoning_tokens', 'bigint', (column) => column.notNull())
    .addColumn('cost_micros', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('model_totals_pk', ['day', 'user_id', 'agent_id', 'model'])
    .execute();
  await db.schema.createIndex('model_totals_by_user').on('model_totals').columns(['user_id', 'day']).execute();
  await db.schema.createIndex('model_totals_by_agent').on('model_totals').columns(['agent_id', 'day']).execute();
  await db.schema
    .createIndex('conversations_by_session')
    .on('conversations')
    .columns(['agent_id', 'session_id'])
    .execute();
}
