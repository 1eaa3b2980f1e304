import { DatabaseSync } from 'node:sqlite';
import { Kysely, type LogEvent } from 'kysely';
import type { Database } from './database.ts';
import { migrate } from './migrator.ts';
import { makePrivateFile } from './private-file.ts';
import { SqliteCheckpoints } from './sqlite-checkpoints.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { NodeSqliteDialect } from './sqlite-dialect.ts';
import { translateSqliteError } from './sqlite-errors.ts';

/** How long another program that reads or copies the database may hold it up. */
const busyTimeoutMs = 5_000;

/**
 * How long the log becomes, 128 MiB, before SQLite moves it by itself and holds the process up for it. `SqliteCheckpoints` moves it
 * long before.
 */
const longestLogPages = 32_000;

/**
 * The database in `file`, made if need be, mode 600, with its schema up to date. A commit survives the death of this
 * process when it resolves, and a power cut when `SqliteLog.sync` has resolved after it: what a power cut takes is always
 * the last commits, never some in between. To have every commit wait for the disk would hold up the whole process,
 * some eight times a turn. Only one process at a time: see `takeInstanceLock`.
 */
export async function openSqlite(file: string, log?: (event: LogEvent) => void): Promise<Kysely<Database>> {
  makePrivateFile(file);
  const database = attempt(() => new DatabaseSync(file, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true }));
  try {
    attempt(() =>
      database.exec(`
        pragma journal_mode = wal;
        pragma synchronous = normal;
        pragma wal_autocheckpoint = ${longestLogPages}`),
    );
    const dialect = new NodeSqliteDialect(new SqliteConnection(database), new SqliteCheckpoints(file, database));
    const db = new Kysely<Database>(log === undefined ? { dialect } : { dialect, log });
    await migrate(db);
    return db;
  } catch (error) {
    database.close();
    throw error;
  }
}

function attempt<T>(action: () => T): T {
  try {
    return action();
  } catch (thrown) {
    throw translateSqliteError(thrown);
  }
}
