import { once } from 'node:events';
import { truncate, writeFile } from 'node:fs/promises';
import { connect, constants } from 'node:http2';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { newConversationId, newPermissionId, newRunId } from '../../src/kernel/ids.ts';
import type { errorTable } from '../../src/kernel/error-table.ts';
import type { SessionSpec, TurnRequest } from '../../src/wire/contract/turn.ts';
import { filePaths } from '../../src/wire/contract/files.ts';
import { guestProtocol } from '../../src/wire/contract/guest-api.ts';
import { type RunningGuest, runGuest } from './running-guest.ts';

const spec = (): SessionSpec => ({
  conversationId: newConversationId(),
  sessionId: null,
  cwd: '/workspace',
  title: 'A talk',
  model: null,
  mode: null,
});
const turn = (): TurnRequest => ({
  session: spec(),
  content: [{ type: 'text', text: 'Hello' }],
  timeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  permissionTimeoutMs: 60_000,
});

/** One raw request, outside what the client would send. */
async function ask(guest: RunningGuest, headers: Record<string, string>, body?: string) {
  const socket = await guest.socket('inward');
  const session = connect('http://guest', { createConnection: () => socket });
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let status = 0;
  stream.once('response', (answer) => (status = answer[':status'] ?? 0));
  const answer = (await json(stream)) as { code?: keyof typeof errorTable };
  session.destroy();
  return { status, answer };
}

test('health names the guest, its incarnation, journal and harness', async () => {
  await using running = await runGuest();
  const client = await running.client();
  expect(await client.health()).toMatchObject({
    protocol: guestProtocol,
    guestVersion: 'test',
    incarnation: running.guest.incarnation,
    leaseEpoch: 0,
    journal: { head: 0, acknowledged: 0, bytes: 0, full: false },
    harness: { name: 'fake', state: 'ready' },
  });
});

test('sessions, turns and permissions reach the harness', async () => {
  await using running = await runGuest();
  const { harness } = running;
  const client = await running.client();
  await client.takeLease(1);
  const session = spec();
  await client.openSession(session);
  expect(harness.opened).toEqual([session]);

  const runId = newRunId();
  const request = turn();
  expect(await client.turnStatus(runId)).toEqual({ runId, state: 'unknown' });
  expect(await client.startTurn(runId, request)).toEqual({ runId, state: 'active' });
  expect(await client.startTurn(runId, request)).toEqual({ runId, state: 'active' });
  expect(harness.turns.get(runId)?.request).toEqual(request);
  expect((await client.health()).journal.head).toBe(1);
  expect(await client.cancelTurn(runId)).toEqual({ runId, state: 'ended' });

  const permissionId = newPermissionId();
  const answer = { optionId: 'yes', resolvedBy: 'somebody' };
  await client.answerPermission(permissionId, answer);
  expect(harness.answers).toEqual([{ permissionId, answer }]);
  await expect(client.answerPermission(permissionId, answer)).rejects.toMatchObject({ code: 'PERMISSION_NOT_PENDING' });

  await client.closeSession(session.conversationId);
  expect(harness.closed).toEqual([session.conversationId]);
});

test('a lower lease epoch is shut out of everything that drives, and out of nothing else', async () => {
  await using running = await runGuest();
  const older = await running.client();
  const newer = await running.client();
  await older.takeLease(1);
  await older.acknowledge(0);
  await newer.takeLease(2);
  const stale = { code: 'STALE_LEASE' };
  await expect(older.takeLease(1)).rejects.toMatchObject(stale);
  await expect(older.acknowledge(0)).rejects.toMatchObject(stale);
  await expect(older.startTurn(newRunId(), turn())).rejects.toMatchObject(stale);
  await expect(older.cancelTurn(newRunId())).rejects.toMatchObject(stale);
  await expect(older.openSession(spec())).rejects.toMatchObject(stale);
  await expect(older.closeSession(newConversationId())).rejects.toMatchObject(stale);
  await expect(older.answerPermission(newPermissionId(), { optionId: null, resolvedBy: 'x' })).rejects.toMatchObject(
    stale,
  );
  expect(running.harness.turns.size + running.harness.opened.length + running.harness.closed.length).toBe(0);
  expect((await older.health()).leaseEpoch).toBe(2);
  await newer.takeLease(2); // the holder may ask again
  await newer.acknowledge(0);
});

test('an epoch that was never taken by itself still raises the lease', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  const headers = { ':method': 'DELETE', ':path': `/v1/sessions/${newConversationId()}`, 'caisson-lease': '5' };
  expect(await ask(running, headers)).toMatchObject({ status: 200 });
  await expect(client.acknowledge(0)).rejects.toMatchObject({ code: 'STALE_LEASE' });
});

const put = { ':method': 'PUT', 'caisson-lease': '1' };
test.for([
  ['an unknown path', { ':path': '/v1/nothing' }, undefined],
  ['an unknown method', { ':method': 'DELETE', ':path': '/v1/health' }, undefined],
  ['a lease that is missing', { ':method': 'PUT', ':path': `/v1/turns/${newRunId()}` }, JSON.stringify(turn())],
  ['a lease that is no number', { ':path': '/v1/journal?after=0', 'caisson-lease': 'first' }, undefined],
  ['a body that is no JSON', { ...put, ':path': '/v1/lease' }, '{'],
  ['a body of another shape', { ...put, ':path': '/v1/lease' }, '{"epoch":0}'],
  ['an id that is none', { ...put, ':path': '/v1/turns/run-1' }, JSON.stringify(turn())],
  [
    'a session of another conversation',
    { ...put, ':path': `/v1/sessions/${newConversationId()}` },
    JSON.stringify(spec()),
  ],
  ['a journal without a start', { ':path': '/v1/journal', 'caisson-lease': '1' }, undefined],
  ['a journal from behind its head', { ':path': '/v1/journal?after=7', 'caisson-lease': '1' }, undefined],
  ['a process without a command', { ':method': 'POST', ':path': '/v1/exec' }, ''],
] as const)('%s is a BAD_REQUEST with a hint', async ([, headers, body]) => {
  await using running = await runGuest();
  const { status, answer } = await ask(running, headers, body);
  expect({ status, answer }).toMatchObject({ status: 400, answer: { code: 'BAD_REQUEST', hint: expect.any(String) } });
  expect(running.harness.turns.size + running.harness.opened.length).toBe(0);
});

test('a body above the bound is refused, and the guest goes on', async () => {
  await using running = await runGuest();
  const path = { ...put, ':path': `/v1/turns/${newRunId()}` };
  expect(await ask(running, path, 'x'.repeat(17 * 1024 * 1024))).toMatchObject({
    status: 413,
    answer: { code: 'BODY_TOO_LARGE' },
  });
  expect(await (await running.client()).health()).toMatchObject({ protocol: guestProtocol });
});

test('what goes wrong inside says nothing of the inside', async () => {
  await using running = await runGuest();
  running.harness.closeSession = () => Promise.reject(new Error('secret detail'));
  const headers = { ':method': 'DELETE', ':path': `/v1/sessions/${newConversationId()}`, 'caisson-lease': '1' };
  const { status, answer } = await ask(running, headers);
  expect(status).toBe(500);
  expect(answer.code).toBe('INTERNAL');
  expect(JSON.stringify(answer)).not.toContain('secret detail');
});

test('2,000 requests at once are all answered', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const answers = await Promise.all(Array.from({ length: 2_000 }, () => client.health()));
  expect(answers).toHaveLength(2_000);
});

// Node 24.21 never takes off a session's account what a stream still had to send when it was given up.
test('downloads that are left in mid-stream, however many, do not end their session', async () => {
  await using running = await runGuest();
  const big = join(running.roots[0], 'big');
  await writeFile(big, '');
  await truncate(big, 4 * 1024 * 1024);
  const socket = await running.socket('inward');
  const session = connect('http://guest', {
    createConnection: () => socket,
    settings: { initialWindowSize: 16 * 1024 }, // all else waits in the guest
  });
  for (let round = 0; round < 8; round++) {
    const streams = Array.from({ length: 25 }, () => session.request({ ':path': `${filePaths.content}?path=big` }));
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    await Promise.all(streams.map((stream) => once(stream, 'readable')));
    const closed = streams.map((stream) => once(stream, 'close'));
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    for (const stream of streams) stream.resume();
    await Promise.all(closed);
  }
  const stream = session.request({ ':path': `${filePaths.stat}?path=big` });
  expect(await json(stream)).toMatchObject({ size: 4 * 1024 * 1024 });
  session.destroy();
});
