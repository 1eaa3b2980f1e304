import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { expect, test } from 'vitest';
import { userAccount } from '../../../src/controlplane/quotas/account.ts';
import type { Database } from '../../../src/controlplane/storage/database.ts';
import { createLedgerStore } from '../../../src/controlplane/storage/ledger-store.ts';
import { migrations } from '../../../src/controlplane/storage/migrations/index.ts';
import { migrate } from '../../../src/controlplane/storage/migrator.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { SqliteCheckpoints } from '../../../src/controlplane/storage/sqlite-checkpoints.ts';
import { SqliteConnection } from '../../../src/controlplane/storage/sqlite-connection.ts';
import { NodeSqliteDialect } from '../../../src/controlplane/storage/sqlite-dialect.ts';
import { StorageAccess } from '../../../src/controlplane/storage/storage-access.ts';
import { newReservationId, newUserId } from '../../../src/kernel/ids.ts';
import { storedAgent } from '../../contracts/store-records.ts';
import { dataDirectory } from './data-directory.ts';

function inMemory(): { database: DatabaseSync; db: Kysely<Database> } {
  const database = new DatabaseSync(':memory:');
  const dialect = new NodeSqliteDialect(new SqliteConnection(database), new SqliteCheckpoints(':memory:', database));
  return { database, db: new Kysely<Database>({ dialect }) };
}

const tablesOf = (database: DatabaseSync): readonly unknown[] =>
  database
    .prepare("select name from sqlite_schema where type = 'table' and name not like 'kysely_%' order by name")
    .all()
    .map(({ name }) => name);

test('an empty database gets the schema, and one that has it keeps its rows', async () => {
  using directory = dataDirectory();
  const first = await openStorage(directory.path);
  const { agent } = await storedAgent(first.agents);
  await first.close();
  const second = await openStorage(directory.path);
  expect(await second.agents.findAgent(agent.id)).toEqual(agent);
  await second.close();
});

test('a database of a newer version is refused with a sentence and left as it is', async () => {
  using directory = dataDirectory();
  await (await openStorage(directory.path)).close();
  const database = new DatabaseSync(join(directory.path, 'caisson.db'));
  database.exec("insert into kysely_migration values ('9999-from-the-future', '2999-01-01T00:00:00.000Z')");
  const before = tablesOf(database);
  await expect(openStorage(directory.path)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/newer version of Caisson.*9999-from-the-future/),
  });
  expect(tablesOf(database)).toEqual(before);
  database.close();
});

test('a database that has a later change and lacks an earlier one, as versions had that were made side by side, is brought up to date', async () => {
  const { database, db } = inMemory();
  const { '0009-login': _login, ...others } = Object.fromEntries(
    Object.entries(migrations).filter(([name]) => name <= '0010-secrets'),
  );
  await migrate(db, others);
  await migrate(db);
  const whole = inMemory();
  await migrate(whole.db);
  expect(tablesOf(database)).toEqual(tablesOf(whole.database));
});

test('of the keys of an earlier version, the one in the data directory goes on making keys, and no other', async () => {
  const { database, db } = inMemory();
  const all = Object.entries(migrations);
  await migrate(
    db,
    Object.fromEntries(
      all.slice(
        0,
        all.findIndex(([name]) => name.endsWith('-people')),
      ),
    ),
  );
  database.exec(
    "insert into users (id, name, role, created_at) values ('u1', 'admin', 'admin', 1), ('u2', 'ada', 'admin', 1)",
  );
  const keys = [
    ['k1', 1, 'u1', 'admin.key'],
    ['k2', 2, 'u1', 'laptop'],
    ['k3', 3, 'u2', 'admin.key'],
  ] as const;
  const insert = database.prepare(
    "insert into api_keys (id, ordinal, user_id, name, prefix, secret_hash, created_at) values (?, ?, ?, ?, 'p', ?, 1)",
  );
  for (const [id, ordinal, user, name] of keys) insert.run(id, ordinal, user, name, id);
  await migrate(db);
  const rows = database.prepare('select id, may_issue, scopes, agents, expires_at from api_keys order by id').all();
  const rest = { scopes: null, agents: null, expires_at: null };
  expect(rows).toEqual([
    { id: 'k1', may_issue: 1, ...rest },
    { id: 'k2', may_issue: 0, ...rest },
    { id: 'k3', may_issue: 0, ...rest },
  ]);
  await db.destroy();
});

test('a migration that fails in the middle leaves nothing, and runs whole the next time', async () => {
  const { database, db } = inMemory();
  const failing = {
    ...migrations,
    '0002-half': {
      up: async (db: Kysely<unknown>) => {
        await db.schema.createTable('half').addColumn('id', 'text').execute();
        throw new Error('the power went');
      },
    },
  };
  await expect(migrate(db, failing)).rejects.toMatchObject({ code: 'INTERNAL', cause: { message: 'the power went' } });
  expect(tablesOf(database)).toEqual([]);
  await migrate(db);
  expect(tablesOf(database)).toContain('agents');
  await db.destroy();
});

test('agents of earlier versions are counted as what they are', async () => {
  const { database, db } = inMemory();
  const before = Object.fromEntries(Object.entries(migrations).filter(([name]) => name < '0004'));
  await migrate(db, before);
  const insert = database.prepare(
    `insert into agents (id, ordinal, owner_id, name, harness, provider, limits, created_at, deleting, sandbox, head_seq, lease_epoch)
     values (?, ?, 'usr', ?, 'codex', 'docker', '{}', 0, 0, ?, 0, 0)`,
  );
  insert.run('up', 1, 'up', '{"state":"running","incarnation":"inc"}');
  insert.run('down', 2, 'down', '{"state":"stopped","reason":"running"}');
  database.exec(`
    insert into conversations values ('cnv', 1, 'up', '', 'open', null, null, null, 0, 0);
    insert into messages values ('one', 1, 'up', 'cnv', null, 'user', null, '[1]', 0), ('two', 2, 'up', 'cnv', null, 'user', null, '["ä"]', 0)`);
  await migrate(db);
  expect(database.prepare('select id, sandbox_up, history_bytes from agents order by ordinal').all()).toEqual([
    { id: 'up', sandbox_up: 1, history_bytes: 9 },
    { id: 'down', sandbox_up: 0, history_bytes: 0 },
  ]);
  await db.destroy();
});

test('what was reserved before reservations lay by account is held as it was', async () => {
  const { database, db } = inMemory();
  const all = Object.entries(migrations);
  const at = all.findIndex(([name]) => name.endsWith('-reservations-by-account'));
  await migrate(db, Object.fromEntries(all.slice(0, at)));
  const accounts = [userAccount(newUserId()), userAccount(newUserId())] as const;
  const insert = database.prepare(
    `insert into quota_reservations (id, account, dimension, amount, expires_at, lifetime_ms) values (?, ?, 'tokens', ?, ?, 60000)`,
  );
  const id = newReservationId();
  for (const [amount, account] of accounts.entries()) insert.run(id, account, 10 + amount, 1_000);
  await migrate(db, migrations);
  const ledger = createLedgerStore(new StorageAccess(db));
  const reserved = async (now: number): Promise<readonly number[]> =>
    await Promise.all(accounts.map(async (account) => (await ledger.readAccount(account, 'tokens', now)).reserved));
  expect(await reserved(999)).toEqual([10, 11]);
  expect(await reserved(1_000)).toEqual([0, 0]);
  const entries = accounts.map((account) => ({ account, dimension: 'tokens' as const }));
  expect(await ledger.transaction(async (tx) => await tx.removeReservation(id, { entries, now: 999 }))).toBe(true);
  expect(await reserved(999)).toEqual([0, 0]);
  await db.destroy();
});
