import { expect, test } from 'vitest';
import type { Agent, Conversation } from '../../src/agents/agent.ts';
import { newMessageId, newPermissionId, type PermissionId, type RunId } from '../../src/kernel/ids.ts';
import { mostPendingPermissions, mostSaidBytes } from '../../src/wire/contract/journal-bounds.ts';
import type { JournalBody, JournalEntry } from '../../src/wire/contract/journal-entry.ts';
import { until } from '../until.ts';
import { type DomainFixture, openDomain, settings, text } from './domain-fixture.ts';

interface Talk {
  readonly fixture: DomainFixture;
  readonly agent: Agent;
  readonly conversation: Conversation;
  /** Applies the next entries as one batch. */
  say(...entries: readonly (JournalBody | { readonly at: number; readonly body: JournalBody })[]): Promise<void>;
  running(conversation?: Conversation): Promise<RunId>;
}

async function openTalk(fixture: DomainFixture): Promise<Talk> {
  const agent = await fixture.newAgent();
  const guest = await until('the guest', () => fixture.sandboxes.guests.get(agent.id));
  const conversation = await fixture.domain.conversations.open({ agentId: agent.id });
  let seq = 0;
  const say: Talk['say'] = async (...bodies) => {
    const entries = bodies.map((entry, index): JournalEntry => {
      const { at, body } = 'body' in entry ? entry : { at: Date.now(), body: entry };
      return { seq: seq + 1 + index, at, body };
    });
    await fixture.sandboxes.observer.applyJournal(agent.id, guest.incarnation, entries);
    seq += entries.length;
  };
  return {
    fixture,
    agent,
    conversation,
    say,
    async running({ id: conversationId } = conversation) {
      const { runId } = await fixture.domain.runs.start({
        principalId: fixture.userId,
        conversationId,
        content: text('go'),
      });
      await until('the guest has the run', () => guest.turns.has(runId));
      await say({ type: 'turn.started', conversationId, runId });
      return runId;
    },
  };
}

const asked = (
  { id: conversationId }: Conversation,
  runId: RunId | null,
  {
    permissionId = newPermissionId(),
    expiresAt = Date.now() + 1_000,
    title = 'push',
    input = null as string | null,
  } = {},
): JournalBody => ({
  type: 'event',
  conversationId,
  runId,
  event: {
    type: 'permission.requested',
    permissionId,
    toolCallId: 't',
    title,
    kind: 'execute',
    input,
    content: [],
    options: [{ optionId: 'yes', name: 'Yes', kind: 'allow_once' }],
    expiresAt,
  },
});

const answered = (
  { id: conversationId }: Conversation,
  runId: RunId | null,
  permissionId: PermissionId,
): JournalBody => ({
  type: 'event',
  conversationId,
  runId,
  event: { type: 'permission.resolved', permissionId, outcome: 'allowed', optionId: 'yes', resolvedBy: null },
});

const pendingOf = async ({ fixture, agent }: Talk) =>
  (await fixture.domain.permissions.list({ agentId: agent.id }, { limit: 200, cursor: null })).items;

test('a guest with more open permission requests than there may be breaks the contract, and no more are kept', async () => {
  await using fixture = await openDomain();
  const talk = await openTalk(fixture);
  const runId = await talk.running();
  const requests = Array.from({ length: mostPendingPermissions }, () => asked(talk.conversation, runId));
  await talk.say(...requests);
  await expect(talk.say(asked(talk.conversation, runId))).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
  expect(await pendingOf(talk)).toHaveLength(mostPendingPermissions);
  expect((await fixture.domain.agents.snapshot(talk.agent.id)).pendingPermissions).toHaveLength(mostPendingPermissions);
  const [first] = await pendingOf(talk);
  if (first === undefined) throw new Error('nothing is pending');
  await talk.say(answered(talk.conversation, runId, first.id), asked(talk.conversation, runId)); // one place is free again
  expect(await pendingOf(talk)).toHaveLength(mostPendingPermissions);
});

test('a run awaits permission until the last of its own requests is resolved', async () => {
  await using fixture = await openDomain();
  const talk = await openTalk(fixture);
  const second = await fixture.domain.conversations.open({ agentId: talk.agent.id });
  const [runId, other] = [await talk.running(), await talk.running(second)];
  const [one, two, three] = [newPermissionId(), newPermissionId(), newPermissionId()];
  const stateOf = async (id: RunId) => (await fixture.domain.runs.get(id)).state;
  await talk.say(
    asked(talk.conversation, runId, { permissionId: one }),
    asked(talk.conversation, runId, { permissionId: two }),
    asked(second, other, { permissionId: three }),
  );
  expect([await stateOf(runId), await stateOf(other)]).toEqual(['awaiting_permission', 'awaiting_permission']);
  await talk.say(answered(talk.conversation, runId, one), answered(second, other, three));
  expect([await stateOf(runId), await stateOf(other)]).toEqual(['awaiting_permission', 'running']);
  await talk.say(answered(talk.conversation, runId, two));
  expect(await stateOf(runId)).toBe('running');
});

test('a request is resolved by the run that made it, once', async () => {
  await using fixture = await openDomain();
  const talk = await openTalk(fixture);
  const runId = await talk.running();
  const permissionId = newPermissionId();
  await talk.say(asked(talk.conversation, runId, { permissionId }));
  const refused = { code: 'GUEST_PROTOCOL' };
  await expect(talk.say(answered(talk.conversation, null, permissionId))).rejects.toMatchObject(refused);
  await expect(talk.say(answered(talk.conversation, runId, newPermissionId()))).rejects.toMatchObject(refused);
  await talk.say(answered(talk.conversation, runId, permissionId));
  await expect(talk.say(answered(talk.conversation, runId, permissionId))).rejects.toMatchObject(refused);
});

test("a request expires within the time that requests have, whatever the guest's clock says", async () => {
  await using fixture = await openDomain();
  const talk = await openTalk(fixture);
  const runId = await talk.running();
  const before = Date.now();
  await talk.say(
    ...[0, before + 1_000, 8_640_000_000_000_000].map((expiresAt) => asked(talk.conversation, runId, { expiresAt })),
  );
  const after = Date.now();
  const latest = after + settings.permissionTimeoutMs + 60_000;
  const [past, near, far] = (await pendingOf(talk)).map(({ expiresAt }) => expiresAt);
  expect(past).toSatisfy((at: number) => at >= before && at <= after);
  expect(near).toBe(before + 1_000);
  expect(far).toSatisfy((at: number) => at >= before + settings.permissionTimeoutMs && at <= latest);
  const events = await fixture.domain.events.read({ agentId: talk.agent.id, after: 0, limit: 1_000 });
  const told = events.flatMap((event) => (event.type === 'permission.requested' ? [event.expiresAt] : []));
  expect(told).toEqual([past, near, far]);
});

test("nothing happens before its agent was made or after now, whatever the guest's clock says", async () => {
  await using fixture = await openDomain();
  const talk = await openTalk(fixture);
  const runId = await talk.running();
  const said = (at: number) => {
    const event = { type: 'message.completed', messageId: newMessageId(), content: text('hi') } as const;
    const body: JournalBody = {
      type: 'event',
      conversationId: talk.conversation.id,
      runId,
      event: { ...event, content: [...event.content] },
    };
    return { at, body };
  };
  const between = talk.agent.createdAt + 1;
  await until('it is later than that', () => Date.now() > between);
  await talk.say(said(0), said(between), said(8_640_000_000_000_000));
  const after = Date.now();
  const { messages } = await fixture.domain.runs.reply(runId);
  const times = messages.map(({ createdAt }) => createdAt);
  expect(times.slice(0, 2)).toEqual([talk.agent.createdAt, between]);
  expect(times[2]).toSatisfy((at: number) => at > between && at <= after);
});

test.each(['messages', 'permission requests'] as const)(
  'an agent that has said 64 MiB in %s since it was spoken to breaks the contract, and no more is kept',
  async (what) => {
    await using fixture = await openDomain();
    const talk = await openTalk(fixture);
    const { id: conversationId } = talk.conversation;
    const large = 'y'.repeat(800_000);
    const speak = async (runId: RunId | null): Promise<void> => {
      if (what === 'messages') {
        const content = [{ type: 'text' as const, text: large }];
        const event = { type: 'message.completed', messageId: newMessageId(), content } as const;
        return await talk.say({ type: 'event', conversationId, runId, event: { ...event, content } });
      }
      const permissionId = newPermissionId();
      await talk.say(asked(talk.conversation, runId, { permissionId, input: large }));
      await talk.say(answered(talk.conversation, runId, permissionId));
    };
    const first = await talk.running();
    const fits = Math.floor(mostSaidBytes / 801_500);
    for (let said = 0; said < fits; said++) await speak(said % 2 === 0 ? first : null);
    await expect(speak(null)).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
    await expect(speak(first)).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
    const second = await fixture.domain.conversations.open({ agentId: talk.agent.id });
    await talk.running(second);
    await speak(first);
  },
);

test('history and the reply of an agent that says large things come in pages that a process can hold', async () => {
  await using fixture = await openDomain();
  const talk = await openTalk(fixture);
  const runId = await talk.running();
  const large = 'y'.repeat(900_000);
  const ids = Array.from({ length: 12 }, () => newMessageId());
  for (const messageId of ids) {
    const event = { type: 'message.completed', messageId, content: [{ type: 'text', text: large }] } as const;
    await talk.say({
      type: 'event',
      conversationId: talk.conversation.id,
      runId,
      event: { ...event, content: [...event.content] },
    });
  }
  const shown: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await fixture.domain.conversations.messages(talk.agent.id, null, { limit: 200, cursor });
    expect(JSON.stringify(page.items).length).toBeLessThan(2_000_000);
    shown.unshift(...page.items.filter(({ role }) => role === 'agent').map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== null);
  expect(shown).toEqual(ids);
  const reply = await fixture.domain.runs.reply(runId);
  expect([reply.isCut, reply.messages.map(({ id }) => id)]).toEqual([true, ids.slice(-2)]);
  const events = await fixture.domain.events.read({ agentId: talk.agent.id, after: 0, limit: 1_000 });
  expect(JSON.stringify(events).length).toBeLessThan(2_100_000);
});
