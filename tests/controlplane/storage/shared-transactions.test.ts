import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { openSqlite } from '../../../src/controlplane/storage/open-sqlite.ts';
import { SharedTransactions } from '../../../src/controlplane/storage/shared-transactions.ts';
import { StorageAccess } from '../../../src/controlplane/storage/storage-access.ts';
import { dataDirectory } from './data-directory.ts';

/** Transactions over a table of notes, and how many of the database's own they took. */
async function openNotes(path: string) {
  const access = new StorageAccess(await openSqlite(join(path, 'caisson.db')));
  await sql`create table notes (text text primary key)`.execute(access.db);
  let count = 0;
  const counted: ConstructorParameters<typeof SharedTransactions>[0] = {
    check: () => access.check(),
    transaction: async (work) => {
      count += 1;
      return await access.transaction(work);
    },
  };
  const shared = new SharedTransactions(counted);
  return {
    access,
    shared,
    note: async (text: string, after?: () => void) =>
      await shared.run(async (tx) => {
        await sql`insert into notes values (${text})`.execute(tx);
        after?.();
      }),
    transactions: () => count,
    notes: async () => {
      const { rows } = await sql<{ text: string }>`select text from notes order by rowid`.execute(access.db);
      return rows.map(({ text }) => text);
    },
  };
}

test('what is asked for at the same time is stored in one transaction, in the order of asking', async () => {
  using directory = dataDirectory();
  const notes = await openNotes(directory.path);
  const texts = Array.from({ length: 20 }, (_, each) => String(each));
  await Promise.all(texts.map(async (text) => await notes.note(text)));
  expect(await notes.notes()).toEqual(texts);
  expect(notes.transactions()).toBe(1);
  await notes.access.close();
});

test('more than 32 are several transactions', async () => {
  using directory = dataDirectory();
  const notes = await openNotes(directory.path);
  await Promise.all(Array.from({ length: 70 }, async (_, each) => await notes.note(String(each))));
  expect(await notes.notes()).toHaveLength(70);
  expect(notes.transactions()).toBe(3);
  await notes.access.close();
});

test('what one throws undoes its own work only', async () => {
  using directory = dataDirectory();
  const notes = await openNotes(directory.path);
  const refuse = (): void => {
    throw new RangeError('no room');
  };
  const outcomes = await Promise.allSettled([notes.note('first'), notes.note('second', refuse), notes.note('third')]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(outcomes[1]).toMatchObject({ reason: expect.any(RangeError) });
  expect(await notes.notes()).toEqual(['first', 'third']);
  await notes.access.close();
});

test('a statement that fails stores nothing of those that shared it, and rejects them all; the next ones go on', async () => {
  using directory = dataDirectory();
  const notes = await openNotes(directory.path);
  await notes.note('taken');
  const outcomes = await Promise.allSettled([notes.note('first'), notes.note('taken'), notes.note('third')]);
  // The third was not begun any more, so it has a transaction of its own.
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  expect(await notes.notes()).toEqual(['taken', 'third']);
  await notes.access.close();
});

test('after the store is closed everything is refused', async () => {
  using directory = dataDirectory();
  const notes = await openNotes(directory.path);
  const before = notes.note('before');
  const closed = notes.access.close();
  await expect(notes.note('after')).rejects.toMatchObject({ code: 'DRAINING' });
  await Promise.all([before, closed]);
});
