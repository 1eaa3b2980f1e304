import type { Kysely } from 'kysely';

/** Whether a run still waits for an answer is asked at every request and every answer. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('permissions_by_run').on('permissions').columns(['run_id', 'state']).execute();
}
