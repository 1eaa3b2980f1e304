import { expect, test } from 'vitest';
import { CaissonError } from '../../src/kernel/errors.ts';
import { newConversationId, newMessageId, newRunId } from '../../src/kernel/ids.ts';
import type { JournalBody, JournalEntry } from '../../src/wire/contract/journal-entry.ts';
import type { GuestClient } from '../../src/wire/guest-client.ts';
import { runGuest } from './running-guest.ts';

const conversationId = newConversationId();
const runId = newRunId();
const messageId = newMessageId();

const started = (version: string): JournalBody => ({ type: 'harness.started', harness: 'fake', version });
const delta = (text: string, offset: number): JournalBody => ({
  type: 'event',
  conversationId,
  runId,
  event: { type: 'message.delta', messageId, delta: text, offset },
});

/** Reads until `enough`, and then lets the stream go. */
async function read(
  client: GuestClient,
  after: number,
  enough: (entries: readonly JournalEntry[]) => boolean,
): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for await (const batch of client.readJournal({ after })) {
    entries.push(...batch);
    if (enough(entries)) break;
  }
  return entries;
}

const text = (entries: readonly JournalEntry[]): string =>
  entries
    .map(({ body }) => (body.type === 'event' && body.event.type === 'message.delta' ? body.event.delta : ''))
    .join('');

test('what was said before and what is said while reading arrives, in order', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  running.harness.sink.append(started('a'));
  const seen: number[] = [];
  for await (const batch of client.readJournal({ after: 0 })) {
    for (const { seq } of batch) {
      seen.push(seq);
      if (seq < 20) running.harness.sink.append(started(String(seq)));
    }
    if (seen.length === 20) break;
  }
  expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
});

test('what the harness says in one piece arrives in one batch', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  const first = client.readJournal({ after: 0 })[Symbol.asyncIterator]();
  const batch = first.next();
  await client.health(); // the journal stream is open by now
  for (let i = 0; i < 30; i++) running.harness.sink.append(started(String(i)));
  expect((await batch).value).toHaveLength(30);
  await first.return?.();
});

test('a reader that lost the wire goes on after the last entry that it stored', async () => {
  await using running = await runGuest();
  const before = await running.client();
  await before.takeLease(1);
  for (let i = 0; i < 10; i++) running.harness.sink.append(started(String(i)));
  const stored = await read(before, 0, (entries) => entries.length >= 10);
  await before.acknowledge(4);
  await before.close();
  running.harness.sink.append(started('10'));

  const after = await running.client();
  await after.takeLease(2);
  const rest = await read(after, 10, (entries) => entries.length >= 1);
  expect([...stored, ...rest].map(({ seq }) => seq)).toEqual(Array.from({ length: 11 }, (_, index) => index + 1));
  const again = await read(after, 4, (entries) => entries.length >= 7); // not acknowledged: still there
  expect(again).toEqual([...stored.slice(4), ...rest]);
  await expect(read(after, 3, () => true)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

test('a journal stream of an older lease is ended with STALE_LEASE', async () => {
  await using running = await runGuest();
  const older = await running.client();
  await older.takeLease(1);
  running.harness.sink.append(started('a'));
  const reading = older.readJournal({ after: 0 })[Symbol.asyncIterator]();
  await reading.next();
  const rest = reading.next();
  const newer = await running.client();
  await newer.takeLease(2);
  await expect(rest).rejects.toMatchObject({ code: 'STALE_LEASE' });
  await expect(read(older, 0, () => true)).rejects.toMatchObject({ code: 'STALE_LEASE' });
  expect(await read(newer, 0, () => true)).toHaveLength(1);
});

test('a second journal stream of the same lease takes the place of the first', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  running.harness.sink.append(started('a'));
  const first = client.readJournal({ after: 0 })[Symbol.asyncIterator]();
  await first.next();
  const rest = first.next();
  expect(await read(client, 0, () => true)).toHaveLength(1);
  await expect(rest).rejects.toMatchObject({ code: 'STALE_LEASE' });
});

test('an abort ends the reading with its reason', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  running.harness.sink.append(started('a'));
  const controller = new AbortController();
  const reason = new CaissonError('ABORTED', 'Enough.');
  const reading = (async () => {
    for await (const batch of client.readJournal({ after: 0, signal: controller.signal })) {
      if (batch.length > 0) controller.abort(reason);
    }
  })();
  await expect(reading).rejects.toBe(reason);
  expect(await client.health()).toMatchObject({ journal: { head: 1 } });
});

test('the loss of the guest ends the reading with WIRE_LOST', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  const reading = read(client, 0, () => false);
  await client.health();
  await running.guest.stop();
  await expect(reading).rejects.toMatchObject({ code: 'WIRE_LOST' });
});

test('a reader that does not read holds nothing up, and gets everything in few large entries later', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  const piece = 'x'.repeat(64);
  running.harness.sink.append(delta(piece, 0));
  const reading = client.readJournal({ after: 0 })[Symbol.asyncIterator]();
  const entries: JournalEntry[] = [...((await reading.next()).value ?? [])];
  const pieces = 200_000; // 12.8 MB of text, three times the window
  for (let i = 1; i < pieces; i++) {
    running.harness.sink.append(delta(piece, i * piece.length));
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (let length = text(entries).length; length < pieces * piece.length;) {
    const batch = (await reading.next()).value ?? [];
    entries.push(...batch);
    length += text(batch).length;
  }
  expect(text(entries)).toBe(piece.repeat(pieces));
  expect(entries.length).toBeLessThan(pieces / 50);
  await reading.return?.();
});

test('what is not urgent arrives all the same when nothing follows it', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  const reading = client.readJournal({ after: 0 })[Symbol.asyncIterator]();
  const batch = reading.next();
  await client.health();
  running.harness.sink.append({ type: 'turn.started', runId, conversationId });
  expect((await batch).value).toMatchObject([{ body: { type: 'turn.started' } }]);
  await reading.return?.();
});
