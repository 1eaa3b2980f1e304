import type { Kysely } from 'kysely';
import { clustered } from '../sqlite-clustered.ts';

/**
 * Reservations lie by account and dimension, where they are summed up: every model call writes some, and takes them away again. With
 * an index for each question that wrote twice as many pages.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('quota_reservations_clustered')
    .addColumn('account', 'text', (column) => column.notNull())
    .addColumn('dimension', 'text', (column) => column.notNull())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('amount', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('lifetime_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('quota_reservations_clustered_pk', ['account', 'dimension', 'id'])
    .modifyEnd(clustered)
    .execute();
  const kept = db.withTables<{ quota_reservations: Columns; quota_reservations_clustered: Columns }>();
  await kept
    .insertInto('quota_reservations_clustered')
    .columns([...columns])
    .expression(kept.selectFrom('quota_reservations').select(columns))
    .execute();
  await db.schema.dropTable('quota_reservations').execute();
  await db.schema.alterTable('quota_reservations_clustered').renameTo('quota_reservations').execute();
}

const columns = ['account', 'dimension', 'id', 'amount', 'expires_at', 'lifetime_ms'] as const;
type Columns = Readonly<Record<(typeof columns)[number], unknown>>;
