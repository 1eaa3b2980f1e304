import type { Kysely } from 'kysely';

/** People who sign in with a browser. A session is a row of `api_keys` that says how its user signed in. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('api_keys').addColumn('signed_in_by', 'text').execute();
  await db.schema
    .alterTable('invitations')
    .addColumn('is_reset', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  await db.schema
    .createTable('logins')
    .addColumn('user_id', 'text', (column) => column.primaryKey().references('users.id').onDelete('cascade'))
    .addColumn('email', 'text', (column) => column.notNull().unique())
    .addColumn('password_hash', 'text')
    .execute();
  await db.schema
    .createTable('login_identities')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('user_id', 'text', (column) => column.notNull().references('users.id').onDelete('cascade'))
    .addPrimaryKeyConstraint('login_identities_pk', ['issuer', 'subject'])
    .execute();
  await db.schema.createIndex('login_identities_by_user').on('login_identities').column('user_id').execute();
}
