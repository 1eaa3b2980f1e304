import { type Kysely, sql } from 'kysely';

/** How much the events of an agent take, so that it is known at each of them without reading them all. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('agents')
    .addColumn('event_bytes', 'bigint', (type) => type.notNull().defaultTo(0))
    .execute();
  await sql`update agents set event_bytes = (
    select coalesce(sum(octet_length(data)), 0) from events where events.agent_id = agents.id
  )`.execute(db);
}
