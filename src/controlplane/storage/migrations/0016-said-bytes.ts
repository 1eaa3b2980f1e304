import type { Kysely } from 'kysely';

/** What an agent has said since it was last spoken to: all of it is kept for ever, so it is bounded. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('agents')
    .addColumn('said_bytes', 'bigint', (type) => type.notNull().defaultTo(0))
    .execute();
}
