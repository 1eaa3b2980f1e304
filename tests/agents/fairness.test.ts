import { expect, test } from 'vitest';
import { createDomain } from '../../src/agents/domain.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { newUserId, type RunId, type UserId } from '../../src/kernel/ids.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import type { TurnOutcome } from '../../src/wire/contract/turn.ts';
import { until } from '../until.ts';
import { type DomainFixture, openDomain, settings, text } from './domain-fixture.ts';

const done: TurnOutcome = { state: 'completed', reason: 'end_turn', usage: null };

async function newUser({ storage }: DomainFixture, name: string): Promise<UserId> {
  const id = newUserId();
  await storage.identities.insertUser({ id, name, role: 'member', createdAt: 0, disabledAt: null });
  return id;
}

/** An agent of this owner with its guest, and a way to start a run in a conversation of its own. */
async function openAgent({ domain, sandboxes }: DomainFixture, ownerId: UserId) {
  const agent = await domain.agents.create({
    ownerId,
    name: 'worker',
    harness: 'codex',
    model: null,
    provider: 'scripted',
    limits: { cpus: 1, memoryBytes: 1 << 30, pids: 100 },
  });
  const guest = await until('the guest', () => sandboxes.guests.get(agent.id));
  const { id: conversationId } = await domain.conversations.open({ agentId: agent.id });
  const start = async (principalId: UserId, conversation = conversationId): Promise<RunId> =>
    (await domain.runs.start({ principalId, conversationId: conversation, content: text('hello') })).runId;
  return { agent, guest, conversationId, start };
}

test('runs that never end leave places to other users, whoever started them', async () => {
  await using fixture = await openDomain({ maxConcurrentRuns: 2, maxConcurrentRunsPerUser: 1 });
  const [greedy, other, admin] = [
    await newUser(fixture, 'greedy'),
    await newUser(fixture, 'other'),
    await newUser(fixture, 'admin'),
  ];
  const mine = await openAgent(fixture, greedy);
  const second = await fixture.domain.conversations.open({ agentId: mine.agent.id });
  const holding = await mine.start(greedy);
  const waiting = await mine.start(admin, second.id);
  const theirs = await openAgent(fixture, other);
  const passing = await theirs.start(other);
  await until('the other user has a place', () => theirs.guest.turns.has(passing));
  expect([mine.guest.turns.has(holding), mine.guest.turns.has(waiting)]).toEqual([true, false]);

  await mine.guest.say({
    type: 'turn.ended',
    conversationId: mine.conversationId,
    runId: holding,
    outcome: done,
  });
  await until('its own next run has the place', () => mine.guest.turns.has(waiting));
});

test('after a restart the runs under way have their places before those that wait', async () => {
  const one = { maxConcurrentRuns: 1, maxConcurrentRunsPerUser: 1 };
  await using fixture = await openDomain(one);
  const { agent, guest, conversationId, start } = await openAgent(fixture, fixture.userId);
  const second = await fixture.domain.conversations.open({ agentId: agent.id });
  const first = await start(fixture.userId);
  const waiting = await start(fixture.userId);
  const underWay = await start(fixture.userId, second.id);
  await until('the first has the place', () => guest.turns.has(first));
  await guest.say({ type: 'turn.ended', conversationId, runId: first, outcome: done });
  await until('the other conversation has its turn', () => guest.turns.has(underWay));

  fixture.domain.drain();
  guest.turns.clear();
  const restarted = createDomain({
    store: fixture.storage.agents,
    connectSandboxes: () => fixture.sandboxes,
    access: { mayRun: async () => true },
    quotas: fixture.quotas,
    clock: systemClock,
    logger: silentLogger,
    settings: { ...settings, ...one },
  });
  await restarted.recover();
  await until('it is taken up', () => guest.turns.has(underWay));
  expect(guest.turns.has(waiting)).toBe(false);
  restarted.drain();
});

test("a caller cannot ask for more time than the operator's limit", async () => {
  await using fixture = await openDomain({ runTimeoutMs: 60_000 });
  const { agent, conversationId } = await openAgent(fixture, fixture.userId);
  const ask = (timeoutMs: number) =>
    fixture.domain.runs.start({ principalId: fixture.userId, conversationId, content: text('hello'), timeoutMs });
  await expect(ask(60_001)).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('60000'),
    hint: expect.stringContaining('CAISSON_RUN_TIMEOUT'),
    details: { field: 'timeoutMs', asked: 60_001, most: 60_000 },
  });
  expect((await fixture.domain.runs.list(agent.id, null, { limit: 10, cursor: null })).items).toEqual([]);
  await expect(ask(60_000)).resolves.toMatchObject({ runId: expect.any(String) });
});
