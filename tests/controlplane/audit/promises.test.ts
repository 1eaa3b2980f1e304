import { join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mostWaiting, writeWithinMs } from '../../../src/controlplane/audit/audit-log.ts';
import { type Audit, openAudit } from '../../../src/controlplane/audit/open-audit.ts';
import { createAuditStore } from '../../../src/controlplane/storage/audit-store.ts';
import type { Database } from '../../../src/controlplane/storage/database.ts';
import { openSqlite } from '../../../src/controlplane/storage/open-sqlite.ts';
import { StorageAccess } from '../../../src/controlplane/storage/storage-access.ts';
import { until } from '../../until.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';
import { dataDirectory } from '../storage/data-directory.ts';
import { aCall, year } from './audit-fixture.ts';

let undo: AsyncDisposableStack;
let db: Kysely<Database>;
let audit: Audit;
let clock: SteeredClock;
let log: LoggedLine[];
/** What waits for the disk. */
let disk: (() => void)[];

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  const directory = undo.use(dataDirectory());
  db = await openSqlite(join(directory.path, 'caisson.db'));
  undo.defer(() => db.destroy());
  clock = new SteeredClock();
  log = [];
  disk = [];
  audit = undo.use(
    await openAudit({
      store: createAuditStore(new StorageAccess(db)),
      flushed: () => new Promise((resolve) => disk.push(resolve)),
      keepMs: year,
      clock,
      logger: recordingLogger(log),
    }),
  );
});
afterEach(() => undo.disposeAsync());

const rows = async (table: 'audit_records' | 'audit_open'): Promise<number> =>
  (await sql<{ rows: number }>`select count(*) as rows from ${sql.table(table)}`.execute(db)).rows[0]?.rows ?? 0;
const page = { limit: 50, cursor: null };
const ok = { outcome: 'ok' } as const;

/** As where the database may not be written. */
const refuseWrites = async (): Promise<unknown> => await sql`pragma query_only = 1`.execute(db);
const takeWrites = async (): Promise<unknown> => await sql`pragma query_only = 0`.execute(db);

test('a call that changes what is stored is told when the disk has its record', async () => {
  const entry = await audit.trail.begin(aCall());
  expect(await rows('audit_open')).toBe(1);
  let isTold = false;
  const ending = entry.end(ok).then(() => (isTold = true));
  await until('the record is written', async () => (await rows('audit_records')) === 1);
  await until('the disk is asked', () => disk.length === 1);
  expect(isTold).toBe(false);
  expect(await rows('audit_open')).toBe(0);
  disk[0]?.();
  await ending;
});

test('a call in a sandbox waits neither for the store nor for the disk, and is written and flushed in time', async () => {
  const first = await audit.trail.beginInSandbox(aCall({ action: 'processes.exec' }));
  first.end(ok);
  await audit.trail.beginInSandbox(aCall({ action: 'processes.start' }));
  expect([await rows('audit_records'), await rows('audit_open'), disk.length]).toEqual([0, 0, 0]);
  clock.advance(writeWithinMs);
  await until('they are written', async () => (await rows('audit_records')) === 1);
  await until('the disk is asked', () => disk.length === 1);
  // What was over before it was written needs no note of its beginning; what goes on has one.
  expect(await rows('audit_open')).toBe(1);
});

test('what was written along with a call that goes on comes to the disk in time, too', async () => {
  (await audit.trail.beginInSandbox(aCall({ action: 'processes.exec' }))).end(ok);
  await audit.trail.begin(aCall({ action: 'agents.create' }));
  expect([await rows('audit_records'), disk.length]).toEqual([1, 0]);
  clock.advance(writeWithinMs);
  await until('the disk is asked', () => disk.length === 1);
});

test('an orderly stop writes what waits, and notes what goes on', async () => {
  (await audit.trail.beginInSandbox(aCall({ action: 'processes.exec' }))).end(ok);
  await audit.trail.beginInSandbox(aCall({ action: 'processes.start' }));
  await audit[Symbol.asyncDispose]();
  expect([await rows('audit_records'), await rows('audit_open')]).toEqual([1, 1]);
});

test('records of both kinds are linked in the order in which they ended', async () => {
  const sandboxed = await audit.trail.beginInSandbox(aCall({ action: 'processes.exec' }));
  const stored = await audit.trail.begin(aCall({ action: 'agents.delete' }));
  sandboxed.end(ok);
  void stored.end(ok);
  const last = await audit.trail.beginInSandbox(aCall({ action: 'files.write' }));
  last.end(ok);
  const { items } = await audit.service.search({}, page);
  expect(items.map(({ action }) => action)).toEqual(['files.write', 'agents.delete', 'processes.exec']);
  expect(await audit.service.verify()).toMatchObject({ broken: null, records: 3 });
});

test('while the database takes nothing no call begins; what was done is kept in its order, and recorded when it takes it', async () => {
  const sandboxed = await audit.trail.beginInSandbox(aCall({ action: 'processes.exec' }));
  const stored = await audit.trail.begin(aCall({ action: 'agents.delete' }));
  await refuseWrites();
  for (let each = 0; each < 3; each++) {
    await expect(audit.trail.begin(aCall())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await expect(audit.trail.record({ action: 'session.created' })).rejects.toThrow();
  }
  sandboxed.end(ok);
  await expect(stored.end(ok)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  const refused = { code: 'AUDIT_UNAVAILABLE', retryable: true };
  await expect(audit.trail.beginInSandbox(aCall())).rejects.toMatchObject(refused);
  await expect(audit.trail.record({ action: 'secret.used' })).rejects.toMatchObject(refused);
  expect(await rows('audit_records')).toBe(0);
  expect(audit.health).toEqual({ isFailing: true, waiting: 5 });
  const told = log.filter(({ level }) => level === 'error').map(({ message }) => message);
  expect(told).toEqual(['the audit cannot be written']);

  await takeWrites();
  (await audit.trail.beginInSandbox(aCall({ action: 'files.write' }))).end(ok);
  const { items } = await audit.service.search({}, page);
  expect(items.map(({ action }) => action).slice(0, 3)).toEqual(['files.write', 'agents.delete', 'processes.exec']);
  expect(await audit.service.verify()).toMatchObject({ broken: null });
  expect(await rows('audit_open')).toBe(0);
  expect(log.some(({ message }) => message === 'the audit is written again')).toBe(true);
  expect(audit.health).toEqual({ isFailing: false, waiting: 0 });
});

test('where all that failed was refused, calls in sandboxes and events find by themselves that there is room again', async () => {
  const recorded = {
    'a call': async () => await audit.trail.beginInSandbox(aCall({ action: 'processes.exec' })),
    'an event': async () => await audit.trail.record({ action: 'secret.used' }),
  };
  for (const record of Object.values(recorded)) {
    await refuseWrites();
    await expect(audit.trail.begin(aCall())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await expect(record()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    await takeWrites();
    await record();
  }
  await audit[Symbol.asyncDispose]();
  expect(await rows('audit_open')).toBe(1); // the call goes on
});

test('what is told and not waited for is kept where the database takes nothing', async () => {
  await refuseWrites();
  audit.trail.tell({ action: 'session.ended', details: { how: 'signed out' } });
  await until('it could not be written', () =>
    log.some(
      ({ message, fields }) => message.includes('could not be recorded') && fields['action'] === 'session.ended',
    ),
  );
  await takeWrites();
  const { items } = await audit.service.search({}, page);
  expect(items).toMatchObject([{ action: 'session.ended', details: { how: 'signed out' } }]);
});

test('what could not be written is tried again by itself', async () => {
  const entry = await audit.trail.beginInSandbox(aCall());
  await refuseWrites();
  entry.end(ok);
  clock.advance(writeWithinMs);
  await until('it has failed', () => log.some(({ message }) => message === 'the audit cannot be written'));
  await takeWrites();
  await until('a time is set for it', () => {
    clock.advance(1_000);
    return log.some(({ message }) => message === 'the audit is written again');
  });
  expect(await rows('audit_records')).toBe(1);
});

test('what is under way is bounded, and what is over makes room', async () => {
  const entries = [];
  for (let each = 0; each < mostWaiting; each++) entries.push(await audit.trail.beginInSandbox(aCall()));
  const refused = { code: 'AUDIT_UNAVAILABLE' };
  await expect(audit.trail.beginInSandbox(aCall())).rejects.toMatchObject(refused);
  await expect(audit.trail.begin(aCall())).rejects.toMatchObject(refused);
  for (const entry of entries) entry.end(ok);
  await expect(audit.trail.begin(aCall())).rejects.toMatchObject(refused);
  expect(await audit.service.verify()).toMatchObject({ broken: null, records: mostWaiting });
  (await audit.trail.beginInSandbox(aCall())).end(ok);
});
