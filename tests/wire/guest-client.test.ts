import { constants } from 'node:http2';
import { expect, test } from 'vitest';
import { CaissonError } from '../../src/kernel/errors.ts';
import { newRunId } from '../../src/kernel/ids.ts';
import type { JournalEntry } from '../../src/wire/contract/journal-entry.ts';
import type { GuestClient } from '../../src/wire/guest-client.ts';
import { until } from '../until.ts';
import { fakeGuest } from './fake-guest.ts';

const answering = (status: number, body: string) =>
  fakeGuest((stream) => {
    stream.respond({ ':status': status });
    stream.end(body);
    stream.resume();
  });

test('the error that the guest sent is the error that is thrown', async () => {
  const sent = new CaissonError('PERMISSION_NOT_PENDING', 'Too late.', { details: { at: 1 } });
  await using guest = answering(409, JSON.stringify(sent));
  await expect(guest.client.health()).rejects.toMatchObject({
    code: 'PERMISSION_NOT_PENDING',
    message: 'Too late.',
    details: { at: 1 },
  });
});

test.for([
  ['an error without a reason', 500, 'oops'],
  ['an answer that is no JSON', 200, '{'],
  ['an answer of another shape', 200, '{"protocol":"one"}'],
  ['no answer at all', 200, ''],
  ['an endless answer', 200, 'x'.repeat(2 * 1024 * 1024)],
] as const)('%s is outside the contract', async ([, status, body]) => {
  await using guest = answering(status, body);
  await expect(guest.client.health()).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
});

test('a reset answer is a lost one, and the session lives on', async () => {
  let calls = 0;
  await using guest = fakeGuest((stream) => {
    calls++;
    if (calls === 1) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    else {
      stream.respond();
      stream.end(JSON.stringify({ runId: newRunId(), state: 'active' }));
    }
  });
  await expect(guest.client.turnStatus(newRunId())).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await expect(guest.client.turnStatus(newRunId())).resolves.toMatchObject({ state: 'active' });
});

test('a session that goes on refusing streams for want of memory is given up, so that another takes its place', async () => {
  await using guest = fakeGuest((stream) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM));
  await until('the session is given up', async () => {
    await expect(guest.client.health()).rejects.toMatchObject({ code: 'WIRE_LOST' });
    return !guest.client.isOpen;
  });
  await guest.client.closed;
});

test('a session that was full for a moment lives on', async () => {
  let calls = 0;
  await using guest = fakeGuest((stream) => {
    if (++calls <= 50) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else {
      stream.respond();
      stream.end(JSON.stringify({ runId: newRunId(), state: 'active' }));
    }
  });
  const refused = Array.from({ length: 50 }, () => guest.client.turnStatus(newRunId()));
  for (const { status } of await Promise.allSettled(refused)) expect(status).toBe('rejected');
  await expect(guest.client.turnStatus(newRunId())).resolves.toMatchObject({ state: 'active' });
});

test('every open call is rejected with WIRE_LOST when the wire breaks', async () => {
  let open = 0;
  await using guest = fakeGuest((stream) => {
    open++;
    if (open === 2) stream.respond(); // one is lost before its headers, one after them
    if (open === 3) guest.duplex.destroy();
  });
  const calls = [guest.client.health(), guest.client.health(), guest.client.health()];
  const outcomes = await Promise.allSettled(calls);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'WIRE_LOST' } });
  await guest.client.closed;
});

test('an aborted call rejects with the reason of its signal and resets the stream', async () => {
  const reset = Promise.withResolvers<number | undefined>();
  const arrived = Promise.withResolvers<void>();
  await using guest = fakeGuest((stream) => {
    stream.once('close', () => reset.resolve(stream.rstCode));
    arrived.resolve();
  });
  const controller = new AbortController();
  const call = guest.client.health(controller.signal);
  await arrived.promise;
  const reason = new CaissonError('ABORTED', 'Enough.');
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(await reset.promise).toBe(constants.NGHTTP2_CANCEL);
  await expect(guest.client.health(controller.signal)).rejects.toBe(reason);
});

test('what drives the harness needs the lease first', async () => {
  await using guest = answering(200, '{}');
  await expect(guest.client.acknowledge(1)).rejects.toMatchObject({ code: 'STALE_LEASE' });
  expect(() => guest.client.readJournal({ after: 0 })).toThrow(expect.objectContaining({ code: 'STALE_LEASE' }));
});

const entry = (seq: number): JournalEntry => ({
  seq,
  at: 1,
  body: { type: 'harness.started', harness: 'fake', version: '1' },
});

const readAll = async (client: GuestClient): Promise<{ seqs: number[]; error: unknown }> => {
  await client.takeLease(1);
  const seqs: number[] = [];
  try {
    for await (const batch of client.readJournal({ after: 0 })) seqs.push(...batch.map(({ seq }) => seq));
  } catch (error) {
    return { seqs, error };
  }
  return { seqs, error: undefined };
};

const journal = (lines: readonly string[]) =>
  fakeGuest((stream, headers) => {
    stream.respond();
    if (headers[':path'] === '/v1/lease') stream.end('{}');
    else stream.end(lines.map((line) => `${line}\n`).join(''));
  });

test('a journal that skips or repeats an entry is refused', async () => {
  for (const second of [1, 3]) {
    await using guest = journal([JSON.stringify(entry(1)), JSON.stringify(entry(second))]);
    expect((await readAll(guest.client)).error).toMatchObject({ code: 'GUEST_PROTOCOL' });
  }
});

test('a journal entry that is malformed or no JSON is refused', async () => {
  for (const line of ['{"seq":1}', '}']) {
    await using guest = journal([line]);
    expect((await readAll(guest.client)).error).toMatchObject({ code: 'GUEST_PROTOCOL' });
  }
});

test('a journal stream that ends without a reason is a lost wire', async () => {
  await using guest = journal([JSON.stringify(entry(1)), JSON.stringify(entry(2))]);
  expect(await readAll(guest.client)).toMatchObject({ seqs: [1, 2], error: { code: 'WIRE_LOST' } });
});
