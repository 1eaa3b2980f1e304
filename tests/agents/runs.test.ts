import { expect, test } from 'vitest';
import type { Agent, Conversation } from '../../src/agents/agent.ts';
import { CaissonError } from '../../src/kernel/errors.ts';
import { newMessageId, newPermissionId, type RunId } from '../../src/kernel/ids.ts';
import type { TurnOutcome } from '../../src/wire/contract/turn.ts';
import { until } from '../until.ts';
import { type DomainFixture, openDomain, type ScriptedGuest, text } from './domain-fixture.ts';

const done: TurnOutcome = { state: 'completed', reason: 'end_turn', usage: null };

const offer = {
  modes: [
    { id: 'ask', name: 'Ask' },
    { id: 'plan', name: 'Plan' },
  ],
  models: [{ id: 'large', name: 'Large' }],
  mode: 'ask',
  model: 'large',
};

async function openTalk(
  fixture: DomainFixture,
): Promise<{ agent: Agent; conversation: Conversation; guest: ScriptedGuest }> {
  const agent = await fixture.newAgent();
  const guest = await until('the guest', () => fixture.sandboxes.guests.get(agent.id));
  return { agent, conversation: await fixture.domain.conversations.open({ agentId: agent.id }), guest };
}

async function start(fixture: DomainFixture, conversation: Conversation, value: string, idempotencyKey?: string) {
  const { id: conversationId } = conversation;
  return await fixture.domain.runs.start({
    principalId: fixture.userId,
    conversationId,
    content: text(value),
    idempotencyKey,
  });
}

async function typesOf(fixture: DomainFixture, agent: Agent): Promise<string[]> {
  return (await fixture.domain.events.read({ agentId: agent.id, after: 0, limit: 1_000 })).map(({ type }) => type);
}

async function taken(guest: ScriptedGuest, runId: RunId): Promise<void> {
  await until(`the guest has ${runId}`, () => guest.turns.has(runId));
}

test('a message becomes a run that the guest does, with its events in order and one end', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const { runId } = await start(fixture, conversation, 'hello');
  await taken(guest, runId);
  const at = { conversationId: conversation.id, runId };
  const messageId = newMessageId();
  await guest.say(
    { type: 'session.opened', conversationId: conversation.id, sessionId: 's1', how: 'new', ...offer },
    { type: 'turn.started', ...at },
    { type: 'event', ...at, event: { type: 'message.delta', messageId, delta: 'hi', offset: 0 } },
    { type: 'event', ...at, event: { type: 'message.completed', messageId, content: text('hi') } },
    { type: 'turn.ended', ...at, outcome: done },
  );
  const run = await fixture.domain.runs.wait(runId, AbortSignal.timeout(5_000));
  expect(run).toMatchObject({ state: 'completed', reason: 'end_turn' });
  expect(await fixture.domain.runs.reply(runId)).toMatchObject({ messages: [{ content: text('hi') }], isCut: false });
  expect((await fixture.domain.conversations.get(conversation.id)).sessionId).toBe('s1');
  const types = await typesOf(fixture, agent);
  expect(types.slice(types.indexOf('message.added'))).toEqual([
    'message.added',
    'run.queued',
    'conversation.titled',
    'agent.status',
    'run.starting',
    'session.opened',
    'run.started',
    'message.delta',
    'message.completed',
    'run.completed',
    'agent.status',
  ]);
});

test('entries that were stored before are passed over, so a journal read twice is applied once', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const { runId } = await start(fixture, conversation, 'hello');
  await taken(guest, runId);
  const at = { conversationId: conversation.id, runId };
  const entries = [
    { seq: 1, at: 1, body: { type: 'turn.started', ...at } as const },
    { seq: 2, at: 2, body: { type: 'turn.ended', ...at, outcome: done } as const },
  ];
  await fixture.sandboxes.observer.applyJournal(agent.id, guest.incarnation, entries.slice(0, 1));
  await fixture.sandboxes.observer.applyJournal(agent.id, guest.incarnation, entries);
  await fixture.sandboxes.observer.applyJournal(agent.id, guest.incarnation, entries);
  const types = await typesOf(fixture, agent);
  expect(types.filter((type) => type === 'run.started')).toHaveLength(1);
  expect(types.filter((type) => type === 'run.completed')).toHaveLength(1);
});

test('a journal with a gap, or of another agent, is refused and changes nothing', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const other = await fixture.newAgent('other');
  const foreign = await fixture.domain.conversations.open({ agentId: other.id });
  const { runId } = await start(fixture, conversation, 'hello');
  await taken(guest, runId);
  const before = await typesOf(fixture, agent);
  const apply = async (seq: number, conversationId: Conversation['id']) => {
    const body = { type: 'turn.started', conversationId, runId } as const;
    await fixture.sandboxes.observer.applyJournal(agent.id, guest.incarnation, [{ seq, at: 0, body }]);
  };
  await expect(apply(2, conversation.id)).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
  await expect(apply(1, foreign.id)).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
  expect(await typesOf(fixture, agent)).toEqual(before);
});

test('two messages of one conversation run one after the other, two conversations at once', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const second = await fixture.domain.conversations.open({ agentId: agent.id });
  const first = await start(fixture, conversation, 'one');
  const waiting = await start(fixture, conversation, 'two');
  const beside = await start(fixture, second, 'three');
  await taken(guest, first.runId);
  await taken(guest, beside.runId);
  expect(guest.turns.has(waiting.runId)).toBe(false);
  await guest.say({ type: 'turn.ended', conversationId: conversation.id, runId: first.runId, outcome: done });
  await taken(guest, waiting.runId);
});

test('a wait that runs out leaves the run as it is', async () => {
  await using fixture = await openDomain();
  const { conversation, guest } = await openTalk(fixture);
  const { runId } = await start(fixture, conversation, 'hello');
  await taken(guest, runId);
  expect(await fixture.domain.runs.wait(runId, AbortSignal.timeout(5))).toBeUndefined();
  expect((await fixture.domain.runs.get(runId)).state).toBe('starting');
});

test('an idempotency key gives one run however often and however concurrently it is used', async () => {
  await using fixture = await openDomain();
  const { conversation } = await openTalk(fixture);
  const answers = await Promise.all(Array.from({ length: 8 }, () => start(fixture, conversation, 'once', 'key-1')));
  expect(new Set(answers.map(({ runId }) => runId)).size).toBe(1);
  await expect(start(fixture, conversation, 'something else', 'key-1')).rejects.toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
  });
});

test('a full queue, an empty message, an oversized one and a closed conversation are refused and change nothing', async () => {
  await using fixture = await openDomain();
  const { agent, conversation } = await openTalk(fixture);
  for (let i = 0; i < 4; i++) await start(fixture, conversation, `message ${i}`);
  const closed = await fixture.domain.conversations.open({ agentId: agent.id });
  await fixture.domain.conversations.close(closed.id, fixture.userId);
  await until('the first run leaves the queue', async () => (await typesOf(fixture, agent)).includes('run.starting'));
  const before = await typesOf(fixture, agent);
  await expect(start(fixture, conversation, 'one too many')).rejects.toMatchObject({ code: 'QUEUE_FULL' });
  await expect(start(fixture, conversation, ' \n')).rejects.toMatchObject({ code: 'MESSAGE_EMPTY' });
  await expect(start(fixture, conversation, 'x'.repeat(20_000))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
  await expect(start(fixture, closed, 'anyone there?')).rejects.toMatchObject({ code: 'CONVERSATION_CLOSED' });
  expect(await typesOf(fixture, agent)).toEqual(before);
});

test('a queued run is canceled at once; one under way is canceled by its guest', async () => {
  await using fixture = await openDomain();
  const { conversation, guest } = await openTalk(fixture);
  const running = await start(fixture, conversation, 'one');
  const queued = await start(fixture, conversation, 'two');
  await taken(guest, running.runId);
  expect((await fixture.domain.runs.cancel(queued.runId, fixture.userId)).state).toBe('canceled');
  expect((await fixture.domain.runs.cancel(running.runId, fixture.userId)).state).toBe('starting');
  await until('the guest is told', () => guest.canceled.includes(running.runId));
  await expect(fixture.domain.runs.cancel(queued.runId, fixture.userId)).rejects.toMatchObject({ code: 'RUN_ENDED' });
});

test('a prompt whose answer was lost on the wire is not given twice to another incarnation', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  guest.loseAnswers = 1;
  const { runId } = await start(fixture, conversation, 'hello');
  await until('it was asked again', () => guest.loseAnswers === 0 && guest.turns.has(runId));
  fixture.sandboxes.guests.delete(agent.id);
  const next = await fixture.sandboxes.ensureGuest(agent);
  const run = await fixture.domain.runs.wait(runId, AbortSignal.timeout(5_000));
  expect(run).toMatchObject({ state: 'interrupted', reason: 'sandbox_lost' });
  expect(next.turns.has(runId)).toBe(false);
});

test('a sandbox that is lost interrupts what it did, and the next message brings a new one', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const first = await start(fixture, conversation, 'one');
  const second = await start(fixture, conversation, 'two');
  await taken(guest, first.runId);
  await fixture.sandboxes.stop(agent.id, 'gone');
  expect(await fixture.domain.runs.wait(first.runId, AbortSignal.timeout(5_000))).toMatchObject({
    state: 'interrupted',
  });
  const next = await until('a new guest', () => fixture.sandboxes.guests.get(agent.id));
  await taken(next, second.runId);
});

test('a sandbox that cannot start fails the run with the reason, and the next message tries again', async () => {
  await using fixture = await openDomain();
  const { agent, conversation } = await openTalk(fixture);
  await fixture.sandboxes.stop(agent.id, 'gone');
  fixture.sandboxes.startError = new CaissonError('PROVIDER_UNAVAILABLE', 'Docker does not answer.');
  const failed = await start(fixture, conversation, 'one');
  const run = await fixture.domain.runs.wait(failed.runId, AbortSignal.timeout(5_000));
  expect(run).toMatchObject({ state: 'failed', reason: 'sandbox_start_failed' });
  expect(run?.message).toContain('Docker does not answer.');
  fixture.sandboxes.startError = undefined;
  const { runId } = await start(fixture, conversation, 'two');
  await taken(await until('a guest', () => fixture.sandboxes.guests.get(agent.id)), runId);
});

test('a run of someone who lost access is rejected when its turn comes', async () => {
  let allowed = true;
  await using fixture = await openDomain({ mayRun: () => allowed });
  const { conversation, guest } = await openTalk(fixture);
  const first = await start(fixture, conversation, 'one');
  const second = await start(fixture, conversation, 'two');
  await taken(guest, first.runId);
  allowed = false;
  await guest.say({ type: 'turn.ended', conversationId: conversation.id, runId: first.runId, outcome: done });
  expect(await fixture.domain.runs.wait(second.runId, AbortSignal.timeout(5_000))).toMatchObject({
    state: 'rejected',
    reason: 'access_revoked',
  });
});

test('a run awaits permission while a request is open, and the answer is recorded with who gave it', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const { runId } = await start(fixture, conversation, 'push');
  await taken(guest, runId);
  const at = { conversationId: conversation.id, runId };
  const permissionId = newPermissionId();
  await guest.say(
    { type: 'turn.started', ...at },
    {
      type: 'event',
      ...at,
      event: {
        type: 'permission.requested',
        permissionId,
        toolCallId: 't1',
        title: 'git push',
        kind: 'execute',
        content: [],
        options: [{ optionId: 'yes', name: 'Allow', kind: 'allow_once' }],
        expiresAt: Date.now() + 60_000,
      },
    },
  );
  expect((await fixture.domain.agents.snapshot(agent.id)).activity).toBe('awaiting_permission');
  const by = fixture.userId;
  await expect(fixture.domain.permissions.respond({ permissionId, optionId: 'no such', by })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  });
  await fixture.domain.permissions.respond({ permissionId, optionId: 'yes', by });
  expect(guest.answers).toEqual([{ optionId: 'yes', resolvedBy: by }]);
  const forged = 'usr-00000000000000000000000000';
  const resolved = {
    type: 'permission.resolved',
    permissionId,
    outcome: 'allowed',
    optionId: 'yes',
    resolvedBy: forged,
  } as const;
  await guest.say({ type: 'event', ...at, event: resolved });
  expect((await fixture.domain.runs.get(runId)).state).toBe('running');
  const event = (await fixture.domain.events.read({ agentId: agent.id, after: 0, limit: 1_000 })).findLast(
    ({ type }) => type === 'permission.resolved',
  );
  expect(event).toMatchObject({ outcome: 'allowed', resolvedBy: by });
  await expect(fixture.domain.permissions.respond({ permissionId, optionId: 'yes', by })).rejects.toMatchObject({
    code: 'PERMISSION_NOT_PENDING',
  });
});

test('deleting an agent leaves no row, settles those who wait for its runs, and can be repeated', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const { runId } = await start(fixture, conversation, 'hello');
  await taken(guest, runId);
  const waiting = fixture.domain.runs.wait(runId, AbortSignal.timeout(10_000));
  await Promise.all([
    expect(waiting).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' }),
    fixture.domain.agents.delete(agent.id),
    fixture.domain.agents.delete(agent.id),
  ]);
  await fixture.domain.agents.delete(agent.id);
  await expect(fixture.domain.agents.get(agent.id)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  await expect(fixture.domain.runs.get(runId)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
});

test('the number of agents of a user is never overshot by concurrency', async () => {
  await using fixture = await openDomain();
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => fixture.newAgent(`agent-${i}`)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
});

test('an answer that comes while the wire is being restored waits for it', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const { runId } = await start(fixture, conversation, 'push');
  await taken(guest, runId);
  const permissionId = newPermissionId();
  await guest.say(
    { type: 'turn.started', conversationId: conversation.id, runId },
    {
      type: 'event',
      conversationId: conversation.id,
      runId,
      event: {
        type: 'permission.requested',
        permissionId,
        toolCallId: 't1',
        title: 'git push',
        kind: 'execute',
        content: [],
        options: [{ optionId: 'yes', name: 'Allow', kind: 'allow_once' }],
        expiresAt: Date.now() + 60_000,
      },
    },
  );
  const restored = Promise.withResolvers<ScriptedGuest>();
  fixture.sandboxes.currentGuest = () => undefined;
  fixture.sandboxes.reattach = async () => await restored.promise;
  const answering = fixture.domain.permissions.respond({ permissionId, optionId: 'yes', by: fixture.userId });
  restored.resolve(guest);
  await answering;
  expect(guest.answers).toHaveLength(1);
  expect(agent.id).toBe((await fixture.domain.runs.get(runId)).agentId);
});

test('a deletion that the provider refused is finished by itself, and nobody waits for the runs of the agent', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  const { runId } = await start(fixture, conversation, 'hello');
  await taken(guest, runId);
  const waiting = fixture.domain.runs.wait(runId, AbortSignal.timeout(10_000));
  const destroy = fixture.sandboxes.destroy.bind(fixture.sandboxes);
  fixture.sandboxes.destroy = () => Promise.reject(new CaissonError('PROVIDER_UNAVAILABLE', 'The engine is gone.'));
  await Promise.all([
    expect(waiting).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' }),
    expect(fixture.domain.agents.delete(agent.id)).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' }),
  ]);
  fixture.sandboxes.destroy = destroy;
  fixture.clock.advance(60_000);
  await until('it is gone', async () => (await fixture.storage.agents.findAgent(agent.id)) === undefined);
});
