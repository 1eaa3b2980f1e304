import type { Kysely } from 'kysely';

/** Since when, and for how long, the clock is known that says which records of the audit are old. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('audit_clock')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('ran_ms', 'bigint', (column) => column.notNull())
    .execute();
}
