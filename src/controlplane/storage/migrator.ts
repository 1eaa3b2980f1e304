import type { Kysely } from 'kysely';
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from 'kysely/migration';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { Database } from './database.ts';
import { migrations } from './migrations/index.ts';

/**
 * Brings the schema up to date: all of it, or nothing. Errors: CONFIG_INVALID when a newer version of Caisson has
 * already changed the schema; nothing is touched then.
 */
export async function migrate(
  db: Kysely<Database>,
  known: Readonly<Record<string, Migration>> = migrations,
): Promise<void> {
  const unknown = (await executedMigrations(db)).find((name) => !Object.hasOwn(known, name));
  if (unknown !== undefined) {
    throw new CaissonError(
      'CONFIG_INVALID',
      `The database was written by a newer version of Caisson: it has the schema change "${unknown}", which this version does not know.`,
      { hint: 'Start that version again, or set CAISSON_DATA_DIR to another directory.' },
    );
  }
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...known }) },
    // Changes that were made side by side came into the main line in another order than that of their numbers.
    allowUnorderedMigrations: true,
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw toCaissonError(error);
}

/** When the database was made, in milliseconds since the epoch. It has a schema. */
export async function madeAt(db: Kysely<Database>): Promise<number> {
  const { timestamp } = await db
    .withTables<{ [DEFAULT_MIGRATION_TABLE]: { timestamp: string } }>()
    .selectFrom(DEFAULT_MIGRATION_TABLE)
    .select('timestamp')
    .orderBy('timestamp')
    .limit(1)
    .executeTakeFirstOrThrow();
  return Date.parse(timestamp);
}

async function executedMigrations(db: Kysely<Database>): Promise<readonly string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === DEFAULT_MIGRATION_TABLE)) return [];
  const rows = await db
    .withTables<{ [DEFAULT_MIGRATION_TABLE]: { name: string } }>()
    .selectFrom(DEFAULT_MIGRATION_TABLE)
    .select('name')
    .orderBy('name')
    .execute();
  return rows.map((row) => row.name);
}
