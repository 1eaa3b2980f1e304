import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../../../src/controlplane/storage/database.ts';
import { openSqlite } from '../../../src/controlplane/storage/open-sqlite.ts';
import { SqliteCheckpoints } from '../../../src/controlplane/storage/sqlite-checkpoints.ts';
import { until } from '../../until.ts';
import { dataDirectory } from './data-directory.ts';

/** Pages in the log, and how many of them are in the database too. */
async function logOf(db: Kysely<Database>): Promise<{ log: number; checkpointed: number }> {
  const { rows } = await sql<{ log: number; checkpointed: number }>`pragma wal_checkpoint(noop)`.execute(db);
  return rows[0] ?? { log: 0, checkpointed: 0 };
}

/** Each commit takes 17 pages. */
async function commits(db: Kysely<Database>, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    await db.transaction().execute((tx) => sql`insert into filler values (zeroblob(65536))`.execute(tx));
  }
}

test('a long log is moved into the database beside the main thread, and begun anew', async () => {
  using directory = dataDirectory();
  const file = join(directory.path, 'caisson.db');
  const db = await openSqlite(file);
  await sql`create table filler (bytes blob)`.execute(db);
  await sql`pragma wal_autocheckpoint = 0`.execute(db); // so that it is not SQLite's own
  await commits(db, 200);
  expect(await logOf(db)).toMatchObject({ checkpointed: 0 });
  await commits(db, 120);
  await until('all of the log is moved', async () => {
    const { log, checkpointed } = await logOf(db);
    return checkpointed > 4_000 && checkpointed === log;
  });
  await commits(db, 1);
  expect((await logOf(db)).log).toBeLessThan(100);
  await commits(db, 320); // another checkpoint may be under way now
  await db.destroy();
  using reopened = new DatabaseSync(file);
  expect(reopened.prepare('select count(*) as rows from filler').get()).toEqual({ rows: 641 });
  expect(reopened.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' });
});

test('a checkpoint that fails leaves the log as it is', async () => {
  using directory = dataDirectory();
  using database = new DatabaseSync(join(directory.path, 'caisson.db'));
  database.exec('pragma journal_mode = wal; pragma wal_autocheckpoint = 0; create table filler (bytes blob)');
  const checkpoints = new SqliteCheckpoints(join(directory.path, 'nowhere', 'caisson.db'), database);
  for (let index = 0; index < 400; index++) {
    database.exec('insert into filler values (zeroblob(65536))');
    checkpoints.committed();
  }
  await checkpoints.close();
  expect(database.prepare('pragma wal_checkpoint(noop)').get()).toMatchObject({ checkpointed: 0 });
  expect(database.prepare('select count(*) as rows from filler').get()).toEqual({ rows: 400 });
});
