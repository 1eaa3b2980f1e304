import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaissonClient } from '../../src/client/index.ts';
import { agentIdSchema } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { startTestControlPlane, testSettings } from './support/control-plane.ts';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from './support/control-plane-process.ts';

const undo = new AsyncDisposableStack();
let environment: Record<string, string>;
let provider: Awaited<ReturnType<typeof testSettings>>['provider'];

beforeAll(async () => {
  const settings = await testSettings(undo);
  ({ provider } = settings);
  environment = {
    ...settings.environment,
    CAISSON_PORT: String(await freePort()),
    CAISSON_QUOTAS: 'agents=none,running_sandboxes=2',
  };
});
afterAll(() => undo.disposeAsync());

async function containersUp(): Promise<readonly string[]> {
  return (await provider.list()).filter(({ state }) => state === 'running').map(({ agentId }) => agentId);
}

async function newTalk(client: CaissonClient, name: string) {
  const { id: agentId } = await client.agents.create.mutate({ name });
  return { agentId, conversationId: (await client.conversations.open.mutate({ agentId })).id };
}

test('a quota of two sandboxes holds for twelve that are wanted at once, across kill -9, and what waits gets its turn', async () => {
  let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
  await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
  const wanted = Array.from({ length: 12 }, (_, each) =>
    controlPlane.client.agents.create.mutate({ name: `at-once-${each}`, wait: true }),
  );
  const outcomes = await Promise.allSettled(wanted);
  expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(2);
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    expect(outcome.reason).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { dimension: 'running_sandboxes', limit: 2, used: 2, agentId: expect.any(String) },
    });
  }
  const up = await containersUp();
  expect(up.length).toBe(2);

  const talk = await newTalk(controlPlane.client, 'waits');
  const start = async (whenBusy: 'fail' | 'queue') =>
    await controlPlane.client.runs.start.mutate({
      conversationId: talk.conversationId,
      message: 'echo through the quota',
      whenBusy,
    });
  await expect(start('fail')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  await expect(
    controlPlane.client.processes.exec.mutate({ agentId: talk.agentId, command: ['true'] }),
  ).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  const { runId } = await start('queue');
  const state = async (): Promise<string> => (await controlPlane.client.runs.get.query({ runId })).state;
  expect(await state()).toBe('queued');

  // The next control plane counts what is there, and what waited goes on waiting.
  await controlPlane.kill();
  controlPlane = await spawnControlPlane(environment);
  await until('both are up again', async () => (await controlPlane.client.system.sandboxes.query()).running === 2);
  expect(await state()).toBe('queued');
  await expect(controlPlane.client.agents.create.mutate({ name: 'one-more', wait: true })).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
  });
  expect((await containersUp()).toSorted()).toEqual(up.toSorted());

  const [first = ''] = up;
  await controlPlane.client.agents.delete.mutate({ agentId: first });
  const { status } = await controlPlane.client.runs.wait.query({ runId, timeoutMs: 60_000 });
  expect(status).toBe('ok');
  const now = await containersUp();
  expect(now).toContain(talk.agentId);
  expect(now.length).toBe(2);
  const { quotas } = await controlPlane.client.usage.me.query();
  expect(quotas.find(({ dimension }) => dimension === 'running_sandboxes')).toMatchObject({ used: 2, limit: 2 });
  expect(quotas.find(({ dimension }) => dimension === 'sandbox_minutes')?.used).toBeGreaterThanOrEqual(3);
});

test('a spent quota of minutes is told in the log of the agent that spent it, and lets nothing more start', async () => {
  await using plane = await startTestControlPlane({ CAISSON_QUOTAS: 'sandbox_minutes=1' });
  const { id: agentId } = await plane.client.agents.create.mutate({ name: 'last', wait: true });
  const spent = await until('the event', async () => {
    const { events } = await plane.client.events.read.query({ agentId, after: 0, limit: 100 });
    return events.find(({ type }) => type === 'quota.changed');
  });
  expect(spent).toMatchObject({ dimension: 'sandbox_minutes', of: 'user', mark: 'spent', limit: 1, used: 1 });
  await expect(plane.client.agents.create.mutate({ name: 'none-left', wait: true })).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    details: { dimension: 'sandbox_minutes', limit: 1, used: 1, resetsAt: expect.any(Number) },
  });
  expect((await plane.provider.list()).map((sandbox) => sandbox.agentId)).toEqual([agentId]);
});

test('an idle sandbox makes room for another of its owner, one in which a program runs does not', async () => {
  await using plane = await startTestControlPlane({
    CAISSON_QUOTAS: 'running_sandboxes=1',
    CAISSON_SLEEP_IDLE_SANDBOXES: 'yes',
  });
  const [one, two] = [await newTalk(plane.client, 'one'), await newTalk(plane.client, 'two')];
  const say = async ({ conversationId }: typeof one): Promise<string> => {
    const message = 'hello';
    const { runId } = await plane.client.runs.start.mutate({ conversationId, message });
    return (await plane.client.runs.wait.query({ runId, timeoutMs: 60_000 })).status;
  };
  const isUp = async ({ agentId }: typeof one): Promise<boolean> =>
    (await plane.provider.find(agentIdSchema.parse(agentId)))?.state === 'running';
  for (const [awake, asleep] of [
    [one, two],
    [two, one],
    [one, two],
  ] as const) {
    expect(await say(awake)).toBe('ok');
    expect([await isUp(awake), await isUp(asleep)]).toEqual([true, false]);
  }
  const { agent } = await plane.client.agents.status.query({ agentId: two.agentId });
  expect(agent.sandbox).toEqual({
    state: 'stopped',
    reason: 'It was idle, and is put to sleep: agent one needs its room.',
  });
  await plane.client.processes.start.mutate({ agentId: one.agentId, command: ['sleep', '1000'] });
  await expect(say(two)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', details: { dimension: 'running_sandboxes' } });
  expect([await isUp(one), await isUp(two)]).toEqual([true, false]);
});
