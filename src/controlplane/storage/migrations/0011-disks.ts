import type { Kysely } from 'kysely';

/** What the sandbox of each agent takes of the disk, as it was measured last. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('agent_disks')
    .addColumn('agent_id', 'text', (column) => column.primaryKey().references('agents.id').onDelete('cascade'))
    .addColumn('used_bytes', 'bigint', (column) => column.notNull())
    .addColumn('method', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('measured_at', 'bigint', (column) => column.notNull())
    .execute();
}
