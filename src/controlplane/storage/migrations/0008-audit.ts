import { type Kysely, sql } from 'kysely';

/** The audit: its chain, where it ends, and the calls that are under way. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('audit_records')
    .addColumn('seq', 'integer', (column) => column.primaryKey())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('user_id', 'text')
    .addColumn('agent_id', 'text')
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .execute();
  for (const column of ['user_id', 'agent_id', 'action', 'at'] as const) {
    await db.schema.createIndex(`audit_records_by_${column}`).on('audit_records').columns([column, 'seq']).execute();
  }
  await db.schema
    .createTable('audit_head')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('pruned_through', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('audit_open')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('call', 'text', (column) => column.notNull())
    .execute();
  // Against our own mistakes; who means harm can drop them, and is found by the chain.
  await sql`
    create trigger audit_records_stay before update on audit_records
    begin select raise(abort, 'a record of the audit cannot be changed'); end
  `.execute(db);
  await sql`
    create trigger audit_records_last before delete on audit_records
    when old.seq > coalesce((select pruned_through from audit_head where id = 1), 0)
    begin select raise(abort, 'a record of the audit can only be pruned'); end
  `.execute(db);
}
