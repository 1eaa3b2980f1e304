import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaissonError, createCaissonClient, type CaissonClient } from '../../src/client/index.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import type { EventOf } from './support/sound-log.ts';
import { Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

/** Asks the agent to push, which it may not do unasked. */
async function askToPush(talk: Talk): Promise<{ runId: string; asked: EventOf<'permission.requested'> }> {
  const runId = await talk.start('push');
  return { runId, asked: await talk.log.event(runId, 'permission.requested') };
}

function allowing({ options }: EventOf<'permission.requested'>): string {
  const option = options.find(({ kind }) => kind === 'allow_once');
  if (option === undefined) throw new Error('There is no option to allow it once.');
  return option.optionId;
}

async function expectNextAnswered(talk: Talk): Promise<void> {
  expect((await talk.say('say next')).said).toEqual(['next']);
  expect((await talk.client.permissions.list.query({ agentId: talk.agentId })).items).toEqual([]);
}

async function memberClient(user: string): Promise<CaissonClient> {
  const { secret } = await plane.client.keys.create.mutate({ user, name: 'test' });
  return createCaissonClient({ url: plane.url, apiKey: secret });
}

const codeOf = (thrown: unknown): string => (thrown instanceof CaissonError ? thrown.code : String(thrown));

test('a push waits for a person; allowed, it runs', async () => {
  await using talk = await Talk.open(plane.client, 'allowed');
  const { runId, asked } = await askToPush(talk);
  expect(asked).toMatchObject({ title: 'git push', kind: 'execute', input: { command: 'git push' } });
  expect((await talk.client.runs.get.query({ runId })).state).toBe('awaiting_permission');
  const status = await talk.client.agents.status.query({ agentId: talk.agentId });
  expect(status.activity).toBe('awaiting_permission');
  expect(status.pendingPermissions.map(({ id }) => id)).toEqual([asked.permissionId]);
  expect((await talk.client.permissions.list.query()).items).toMatchObject([
    { id: asked.permissionId, runId, state: 'pending', title: 'git push', expiresAt: asked.expiresAt },
  ]);

  const optionId = allowing(asked);
  await talk.client.permissions.respond.mutate({ permissionId: asked.permissionId, optionId });
  const { run, events } = await talk.end(runId);
  expect(run).toMatchObject({ state: 'completed', reason: 'end_turn' });
  expect(events.find(({ type }) => type === 'permission.resolved')).toMatchObject({
    outcome: 'allowed',
    optionId,
    resolvedBy: run.startedBy,
  });
  expect(events.find(({ type }) => type === 'tool.completed')).toMatchObject({ exitCode: 128 }); // no git repository
  await expectNextAnswered(talk);
});

test('an answer that is no option of the request is refused, and the request stays open', async () => {
  await using talk = await Talk.open(plane.client, 'no-option');
  const { runId, asked } = await askToPush(talk);
  const wrong = talk.client.permissions.respond.mutate({ permissionId: asked.permissionId, optionId: 'nope' });
  await expect(wrong).rejects.toMatchObject({ code: 'BAD_REQUEST', hint: expect.stringContaining(allowing(asked)) });
  await talk.client.permissions.respond.mutate({ permissionId: asked.permissionId, optionId: allowing(asked) });
  expect((await talk.end(runId)).run.state).toBe('completed');
});

test('refused, it does not run, and the turn is over', async () => {
  await using talk = await Talk.open(plane.client, 'refused');
  const { runId, asked } = await askToPush(talk);
  await talk.client.permissions.respond.mutate({ permissionId: asked.permissionId, optionId: null });
  const { run, events } = await talk.end(runId);
  expect(run).toMatchObject({ state: 'canceled', reason: 'permission_rejected' });
  expect(events.find(({ type }) => type === 'permission.resolved')).toMatchObject({
    outcome: 'rejected',
    optionId: null,
    resolvedBy: run.startedBy,
  });
  expect(events.find(({ type }) => type === 'tool.completed')).toMatchObject({ status: 'canceled', exitCode: null });
  await expectNextAnswered(talk);
});

test('of two answers the first counts, and the record names the one who gave it', async () => {
  const owner = await memberClient('two-answers');
  await using talk = await Talk.open(owner, 'two-answers');
  const { runId, asked } = await askToPush(talk);
  const { permissionId } = asked;
  const optionId = allowing(asked);
  const [byOwner, byAdmin] = await Promise.allSettled([
    owner.permissions.respond.mutate({ permissionId, optionId }),
    plane.client.permissions.respond.mutate({ permissionId, optionId }),
  ]);
  const refused = [byOwner, byAdmin].filter(({ status }) => status === 'rejected');
  expect(refused).toMatchObject([{ reason: { code: 'PERMISSION_NOT_PENDING' } }]);
  const first = byOwner.status === 'fulfilled' ? owner : plane.client;
  const { events } = await talk.end(runId);
  expect(events.find(({ type }) => type === 'permission.resolved')).toMatchObject({
    outcome: 'allowed',
    resolvedBy: (await first.system.version.query()).principal.userId,
  });
  const late = owner.permissions.respond.mutate({ permissionId, optionId: null });
  await expect(late).rejects.toMatchObject({ code: 'PERMISSION_NOT_PENDING' });
  await expectNextAnswered(talk);
});

test('another member can neither see nor answer it', async () => {
  const [owner, other] = [await memberClient('owner'), await memberClient('other')];
  await using talk = await Talk.open(owner, 'not-yours');
  const { runId, asked } = await askToPush(talk);
  const { permissionId } = asked;
  expect((await other.permissions.list.query()).items).toEqual([]);
  for (const optionId of [null, allowing(asked)]) {
    const answer = other.permissions.respond.mutate({ permissionId, optionId });
    expect(await answer.catch(codeOf)).toBe('PERMISSION_NOT_FOUND');
  }
  expect((await owner.permissions.list.query()).items).toMatchObject([{ id: permissionId, state: 'pending' }]);
  await owner.permissions.respond.mutate({ permissionId, optionId: allowing(asked) });
  expect((await talk.end(runId)).run.state).toBe('completed');
});

test('a run that is canceled while it waits takes its request back', async () => {
  await using talk = await Talk.open(plane.client, 'canceled');
  const { runId, asked } = await askToPush(talk);
  await talk.client.runs.cancel.mutate({ runId });
  const { run, events } = await talk.end(runId);
  expect(run).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
  expect(events.find(({ type }) => type === 'permission.resolved')).toMatchObject({
    outcome: 'canceled',
    resolvedBy: null,
  });
  const late = talk.client.permissions.respond.mutate({ permissionId: asked.permissionId, optionId: allowing(asked) });
  await expect(late).rejects.toMatchObject({ code: 'PERMISSION_NOT_PENDING' });
  await expectNextAnswered(talk);
});

describe('a request that nobody answers', () => {
  let hasty: TestControlPlane;
  beforeAll(async () => {
    hasty = await startTestControlPlane({ CAISSON_PERMISSION_TIMEOUT: '1s' });
  });
  afterAll(() => hasty[Symbol.asyncDispose]());

  test('expires, which ends the turn', async () => {
    await using talk = await Talk.open(hasty.client, 'expired');
    const { runId, asked } = await askToPush(talk);
    const { run, events } = await talk.end(runId);
    expect(run).toMatchObject({ state: 'canceled', reason: 'permission_expired' });
    expect(events.find(({ type }) => type === 'permission.resolved')).toMatchObject({
      outcome: 'expired',
      resolvedBy: null,
    });
    const late = talk.client.permissions.respond.mutate({
      permissionId: asked.permissionId,
      optionId: allowing(asked),
    });
    await expect(late).rejects.toMatchObject({ code: 'PERMISSION_NOT_PENDING' });
    await expectNextAnswered(talk);
  });
});
