import { expect, test } from 'vitest';
import type { Agent, Conversation } from '../../src/agents/agent.ts';
import type { AgentEvent } from '../../src/agents/event.ts';
import { newConversationId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { type DomainFixture, openDomain, type ScriptedGuest, text } from './domain-fixture.ts';

async function openTalk(fixture: DomainFixture, choices: { model?: string; mode?: string } = {}) {
  const agent = await fixture.newAgent();
  const guest = await until('the guest', () => fixture.sandboxes.guests.get(agent.id));
  return { agent, guest, conversation: await fixture.domain.conversations.open({ agentId: agent.id, ...choices }) };
}

/** The model and the mode that the guest is asked for with the next message. */
async function wanted(fixture: DomainFixture, guest: ScriptedGuest, { id: conversationId }: Conversation) {
  const { runId } = await fixture.domain.runs.start({
    principalId: fixture.userId,
    conversationId,
    content: text('hello'),
  });
  const { session } = await until('the turn', () => guest.turns.get(runId));
  const outcome = { state: 'completed', reason: 'end_turn', usage: null } as const;
  await guest.say({ type: 'turn.ended', runId, conversationId, outcome });
  return { model: session.model, mode: session.mode };
}

async function eventsOf(fixture: DomainFixture, agent: Agent, type: AgentEvent['type']): Promise<AgentEvent[]> {
  const events = await fixture.domain.events.read({ agentId: agent.id, after: 0, limit: 1_000 });
  return events.filter((event) => event.type === type);
}

test('a conversation without choices has the model of its agent and the default mode of the harness', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  expect(conversation).toMatchObject({ model: null, mode: null });
  expect(await wanted(fixture, guest, conversation)).toEqual({ model: agent.model, mode: null });
});

test('what is chosen holds from the next turn on; what is left out stays; null takes it back', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture, { model: 'small', mode: 'plan' });
  const { conversations } = fixture.domain;
  expect(await wanted(fixture, guest, conversation)).toEqual({ model: 'small', mode: 'plan' });
  expect(await conversations.configure(conversation.id, { model: 'large' })).toMatchObject({
    model: 'large',
    mode: 'plan',
  });
  expect(await wanted(fixture, guest, conversation)).toEqual({ model: 'large', mode: 'plan' });
  await conversations.configure(conversation.id, { model: null, mode: 'ask' });
  expect(await wanted(fixture, guest, conversation)).toEqual({ model: null, mode: 'ask' });
  await conversations.configure(conversation.id, { model: null, mode: 'ask' });
  expect(await eventsOf(fixture, agent, 'conversation.configured')).toMatchObject([
    { conversationId: conversation.id, model: 'large', mode: 'plan' },
    { conversationId: conversation.id, model: null, mode: 'ask' },
  ]);
  expect(await eventsOf(fixture, agent, 'conversation.opened')).toMatchObject([{ model: 'small', mode: 'plan' }]);
});

test('a closed conversation, and one that is not there, cannot be configured', async () => {
  await using fixture = await openDomain();
  const { conversation } = await openTalk(fixture);
  const { conversations } = fixture.domain;
  await conversations.close(conversation.id, fixture.userId);
  await expect(conversations.configure(conversation.id, { mode: 'plan' })).rejects.toMatchObject({
    code: 'CONVERSATION_CLOSED',
  });
  await expect(conversations.configure(newConversationId(), { mode: 'plan' })).rejects.toMatchObject({
    code: 'CONVERSATION_NOT_FOUND',
  });
  expect(await conversations.get(conversation.id)).toMatchObject({ mode: null });
});

test('what a session offers is told by the agent from then on', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture);
  expect((await fixture.domain.agents.snapshot(agent.id)).offer).toBeNull();
  const offer = { modes: [{ id: 'ask', name: 'Ask' }], models: [], mode: 'ask', model: null };
  await guest.say({ type: 'session.opened', conversationId: conversation.id, sessionId: 's', how: 'new', ...offer });
  expect((await fixture.domain.agents.snapshot(agent.id)).offer).toEqual(offer);
  expect(await eventsOf(fixture, agent, 'session.opened')).toMatchObject([{ how: 'new', ...offer }]);
  await fixture.domain.agents.delete(agent.id);
  expect(await fixture.storage.agents.findSessionOffer(agent.id)).toBeUndefined();
});

test('a mode that the harness goes over to by itself is the mode of the conversation', async () => {
  await using fixture = await openDomain();
  const { agent, conversation, guest } = await openTalk(fixture, { model: 'large', mode: 'plan' });
  const event = { type: 'session.updated', mode: 'ask' } as const;
  await guest.say({ type: 'event', conversationId: conversation.id, runId: null, event });
  expect(await wanted(fixture, guest, conversation)).toEqual({ model: 'large', mode: 'ask' });
  expect(await eventsOf(fixture, agent, 'session.updated')).toMatchObject([{ mode: 'ask' }]);
});
