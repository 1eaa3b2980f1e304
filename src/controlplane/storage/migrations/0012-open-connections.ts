import type { Kysely } from 'kysely';

/** What agents have open, for the log of what was connected to after a process that was killed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('egress_open')
    .addColumn('agent_id', 'text', (column) => column.primaryKey().references('agents.id').onDelete('cascade'))
    .addColumn('entries', 'text', (column) => column.notNull())
    .execute();
}
