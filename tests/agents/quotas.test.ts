import { expect, test } from 'vitest';
import type { Agent } from '../../src/agents/agent.ts';
import { quotaExceeded } from '../../src/agents/quota-exceeded.ts';
import type { RunId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { type DomainFixture, openDomain, text } from './domain-fixture.ts';

const page = { limit: 10, cursor: null };

/** A domain whose sandboxes are asked for room, and so many agents without one that runs. */
async function openSleeping(
  count: number,
  limits: Partial<DomainFixture['quotas']['limits']>,
  settings: Parameters<typeof openDomain>[0] = {},
) {
  const fixture = await openDomain(settings);
  fixture.sandboxes.tellsStarts = true;
  fixture.quotas.limits = { ...fixture.quotas.limits, agents: null, runningSandboxes: 0 };
  const agents: Agent[] = [];
  for (let each = 0; each < count; each++) agents.push(await fixture.newAgent(`agent-${each}`));
  fixture.quotas.change(limits);
  return { fixture, agents };
}

async function startRun({ domain, userId }: DomainFixture, agent: Agent, whenBusy: 'fail' | 'queue'): Promise<RunId> {
  const { id: conversationId } = await domain.conversations.open({ agentId: agent.id });
  const request = { principalId: userId, conversationId, content: text('hello'), whenBusy };
  return (await domain.runs.start(request)).runId;
}

const stateOf = async ({ domain }: DomainFixture, runId: RunId): Promise<string> =>
  (await domain.runs.get(runId)).state;

const turnsOf = ({ sandboxes }: DomainFixture, agent: Agent): readonly RunId[] => [
  ...(sandboxes.guests.get(agent.id)?.turns.keys() ?? []),
];

test('200 agents made at the same time against a quota of 10 are exactly 10', async () => {
  await using fixture = await openDomain();
  fixture.quotas.change({ agents: 10 });
  const made = await Promise.allSettled(Array.from({ length: 200 }, (_, each) => fixture.newAgent(`agent-${each}`)));
  expect(made.filter(({ status }) => status === 'fulfilled').length).toBe(10);
  expect(await fixture.storage.agents.countAgents(fixture.userId)).toBe(10);
  const refused = made.find((each) => each.status === 'rejected');
  expect(refused?.reason).toMatchObject({
    code: 'QUOTA_EXCEEDED',
    details: { dimension: 'agents', limit: 10, used: 10 },
  });
});

test('200 sandboxes started at the same time against a quota of 10 are exactly 10', async () => {
  const { fixture, agents } = await openSleeping(200, { runningSandboxes: 10 });
  await using _ = fixture;
  const started = await Promise.allSettled(agents.map((agent) => fixture.sandboxes.ensureGuest(agent)));
  expect(started.filter(({ status }) => status === 'fulfilled').length).toBe(10);
  expect((await fixture.storage.agents.listAgentsUp(fixture.userId)).length).toBe(10);
  expect(fixture.quotas.minutes).toBe(10);
  const refused = started.find((each) => each.status === 'rejected');
  expect(refused?.reason).toMatchObject({
    code: 'QUOTA_EXCEEDED',
    details: { dimension: 'running_sandboxes', limit: 10, used: 10 },
  });
});

test.each([
  ['cpu', { cpus: 2 }],
  ['memory', { memoryBytes: 2 * 1_024 ** 3 }],
] as const)('the %s of all sandboxes that run is limited', async (dimension, limits) => {
  const { fixture, agents } = await openSleeping(3, { runningSandboxes: null, ...limits });
  await using _ = fixture;
  const [first, second, third] = agents as [Agent, Agent, Agent];
  await fixture.sandboxes.ensureGuest(first);
  await fixture.sandboxes.ensureGuest(second);
  await expect(fixture.sandboxes.ensureGuest(third)).rejects.toMatchObject({ details: { dimension } });
  await fixture.sandboxes.stop(first.id, 'for the test');
  await expect(fixture.sandboxes.ensureGuest(third)).resolves.toBeDefined();
});

test('an agent is made where there is no room for its sandbox, which then waits to be needed', async () => {
  await using fixture = await openDomain();
  fixture.quotas.change({ runningSandboxes: 0 });
  const agent = await fixture.newAgent();
  expect(agent.sandbox).toMatchObject({ state: 'stopped', reason: expect.stringContaining('running_sandboxes') });
  expect(fixture.sandboxes.guests.size).toBe(0);
});

test('a new agent whose sandbox is refused at its start holds no room', async () => {
  await using fixture = await openDomain();
  fixture.sandboxes.tellsStarts = true;
  fixture.quotas.refusal = quotaExceeded({ dimension: 'sandbox_minutes', limit: 5, used: 5, asked: 1 });
  const { id } = await fixture.newAgent();
  await until('it is stopped', async () => (await fixture.domain.agents.get(id)).sandbox.state === 'stopped');
  expect(await fixture.storage.agents.listAgentsUp(null)).toEqual([]);
});

test('a run without room for its sandbox is refused, and changes nothing', async () => {
  const { fixture, agents } = await openSleeping(2, { runningSandboxes: 1 });
  await using _ = fixture;
  const [first, second] = agents as [Agent, Agent];
  await startRun(fixture, first, 'fail');
  await until('the first runs', () => turnsOf(fixture, first).length === 1);
  await expect(startRun(fixture, second, 'fail')).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    details: { dimension: 'running_sandboxes', limit: 1, used: 1 },
  });
  expect((await fixture.domain.runs.list(second.id, null, page)).items).toEqual([]);
  // The sandbox of the first has its room.
  await expect(startRun(fixture, first, 'fail')).resolves.toBeDefined();
});

test('runs that wait for room get it in the order in which they came, whoever starts next', async () => {
  const { fixture, agents } = await openSleeping(4, { runningSandboxes: 1 });
  await using _ = fixture;
  const [busy, second, third, fourth] = agents as [Agent, Agent, Agent, Agent];
  await startRun(fixture, busy, 'fail');
  await until('the first runs', () => turnsOf(fixture, busy).length === 1);
  const waiting = [
    await startRun(fixture, second, 'queue'),
    await startRun(fixture, third, 'queue'),
    await startRun(fixture, fourth, 'queue'),
  ];
  for (const run of waiting) expect(await stateOf(fixture, run)).toBe('queued');
  const order: RunId[] = [];
  let running = busy;
  for (const next of [second, third, fourth]) {
    await fixture.sandboxes.stop(running.id, 'for the test');
    await until('the next has its room', () => turnsOf(fixture, next).length === 1);
    order.push(...turnsOf(fixture, next));
    expect((await fixture.storage.agents.listAgentsUp(null)).map(({ id }) => id)).toEqual([next.id]);
    running = next;
  }
  expect(order).toEqual(waiting);
});

test('a run that waits holds no place that another could have', async () => {
  const { fixture, agents } = await openSleeping(6, { runningSandboxes: 1 });
  await using _ = fixture;
  const [busy, ...others] = agents as [Agent, ...Agent[]];
  await startRun(fixture, busy, 'fail');
  await until('the first runs', () => turnsOf(fixture, busy).length === 1);
  for (const other of others) await startRun(fixture, other, 'queue'); // more than may run at a time
  const second = await startRun(fixture, busy, 'fail');
  await until('another conversation of the first runs', () => turnsOf(fixture, busy).includes(second));
});

test('a run that waits is canceled like any other, and the next one is called', async () => {
  const { fixture, agents } = await openSleeping(3, { runningSandboxes: 1 });
  await using _ = fixture;
  const [busy, second, third] = agents as [Agent, Agent, Agent];
  await startRun(fixture, busy, 'fail');
  await until('the first runs', () => turnsOf(fixture, busy).length === 1);
  const canceled = await startRun(fixture, second, 'queue');
  await startRun(fixture, third, 'queue');
  expect((await fixture.domain.runs.cancel(canceled, fixture.userId)).state).toBe('canceled');
  await fixture.sandboxes.stop(busy.id, 'for the test');
  await until('the other has the room', () => turnsOf(fixture, third).length === 1);
  expect(turnsOf(fixture, second)).toEqual([]);
});

test('room comes with a higher limit, and with an agent that is deleted', async () => {
  const { fixture, agents } = await openSleeping(3, { runningSandboxes: 1 });
  await using _ = fixture;
  const [busy, second, third] = agents as [Agent, Agent, Agent];
  await startRun(fixture, busy, 'fail');
  await until('the first runs', () => turnsOf(fixture, busy).length === 1);
  await startRun(fixture, second, 'queue');
  await startRun(fixture, third, 'queue');
  fixture.quotas.change({ runningSandboxes: 2 });
  await until('the second has its room', () => turnsOf(fixture, second).length === 1);
  expect(turnsOf(fixture, third)).toEqual([]);
  await fixture.domain.agents.delete(busy.id);
  await until('the third has its room', () => turnsOf(fixture, third).length === 1);
});

test('several places that become free at once are all given', async () => {
  const { fixture, agents } = await openSleeping(5, { runningSandboxes: 0 });
  await using _ = fixture;
  for (const agent of agents) await startRun(fixture, agent, 'queue');
  fixture.quotas.change({ runningSandboxes: 4 });
  await until(
    'four have their room',
    () => agents.filter((agent) => turnsOf(fixture, agent).length === 1).length === 4,
  );
  expect((await fixture.storage.agents.listAgentsUp(null)).length).toBe(4);
});

test('a message is refused by its size and by the history that is kept, and what is there stays', async () => {
  await using fixture = await openDomain();
  const agent = await fixture.newAgent();
  const { id: conversationId } = await fixture.domain.conversations.open({ agentId: agent.id });
  const say = async (content: string) =>
    await fixture.domain.runs.start({ principalId: fixture.userId, conversationId, content: text(content) });
  fixture.quotas.change({ messageBytes: 100 });
  await expect(say('x'.repeat(101))).rejects.toMatchObject({
    code: 'MESSAGE_TOO_LARGE',
    details: { dimension: 'message_bytes', limit: 100, used: 101 },
  });
  fixture.quotas.change({ historyBytes: 200 });
  await say('x'.repeat(100));
  await expect(say('x'.repeat(100))).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    details: { dimension: 'history_bytes', limit: 200, asked: 100 },
  });
  expect((await fixture.domain.runs.list(agent.id, null, page)).items.length).toBe(1);
  await fixture.domain.agents.delete(agent.id);
  expect(await fixture.storage.agents.countHistoryBytes(fixture.userId)).toBe(0);
});

test('idle sandboxes make room where that is wanted: the one that was used longest ago, and none in which anything runs', async () => {
  const { fixture, agents } = await openSleeping(5, { runningSandboxes: 3 }, { sleepIdleSandboxes: true });
  await using _ = fixture;
  const [withRun, withProgram, idle, fourth, fifth] = agents as [Agent, Agent, Agent, Agent, Agent];
  for (const agent of [withProgram, idle, withRun]) {
    await startRun(fixture, agent, 'fail');
    await until('it runs', () => turnsOf(fixture, agent).length === 1);
  }
  for (const agent of [withProgram, idle]) {
    const [runId] = turnsOf(fixture, agent);
    if (runId === undefined) throw new Error('it has no turn');
    const { conversationId } = await fixture.domain.runs.get(runId);
    const outcome = { state: 'completed', reason: 'end_turn', usage: null } as const;
    await fixture.sandboxes.guests
      .get(agent.id)
      ?.say({ type: 'turn.started', runId, conversationId }, { type: 'turn.ended', conversationId, runId, outcome });
    await until('it is over', async () => (await stateOf(fixture, runId)) === 'completed');
  }
  fixture.sandboxes.busy.add(withProgram.id);

  await startRun(fixture, fourth, 'fail');
  await until('it has the room', () => turnsOf(fixture, fourth).length === 1);
  const { sandbox } = await fixture.domain.agents.get(idle.id);
  expect(sandbox).toEqual({
    state: 'stopped',
    reason: `It was idle, and is put to sleep: agent ${fourth.name} needs its room.`,
  });
  expect((await fixture.storage.agents.listAgentsUp(null)).map(({ id }) => id).toSorted()).toEqual(
    [withRun.id, withProgram.id, fourth.id].toSorted(),
  );
  await expect(startRun(fixture, fifth, 'fail')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
});

test('idle sandboxes stay where the operator did not want otherwise', async () => {
  const { fixture, agents } = await openSleeping(2, { runningSandboxes: 1 });
  await using _ = fixture;
  const [idle, second] = agents as [Agent, Agent];
  await fixture.sandboxes.ensureGuest(idle);
  await expect(startRun(fixture, second, 'fail')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  expect(fixture.sandboxes.guests.has(idle.id)).toBe(true);
});
