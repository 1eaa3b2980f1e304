import { expect, test } from 'vitest';
import type { AgentStore } from '../../../src/agents/ports.ts';
import { newConversationId, newMessageId, newRunId, newUserId } from '../../../src/kernel/ids.ts';
import { aConversation, aMessage, now, storedAgent } from '../store-records.ts';

export function conversationBehaviours(store: () => AgentStore): void {
  test('a conversation is found as it was stored, and its changes are kept', async () => {
    const { conversation } = await storedAgent(store());
    expect(await store().findConversation(conversation.id)).toEqual(conversation);
    await store().transaction(async (tx) => {
      await tx.setConversationTitle(conversation.id, 'Plans “here”');
      await tx.setConversationSession(conversation.id, 'session-1');
      await tx.setConversationChoices(conversation.id, { model: 'large', mode: 'plan “it”' });
      await tx.closeConversation(conversation.id);
      expect(await tx.findConversation(conversation.id)).toMatchObject({ status: 'closed', sessionId: 'session-1' });
    });
    const changed = {
      ...conversation,
      title: 'Plans “here”',
      sessionId: 'session-1',
      model: 'large',
      mode: 'plan “it”',
      status: 'closed',
    };
    expect(await store().findConversation(conversation.id)).toEqual(changed);
    await store().transaction((tx) => tx.setConversationChoices(conversation.id, { model: null, mode: 'ask' }));
    expect(await store().findConversation(conversation.id)).toEqual({ ...changed, model: null, mode: 'ask' });
  });

  test('a conversation is stored with the choices that it is opened with', async () => {
    const { agent } = await storedAgent(store());
    const conversation = aConversation(agent.id, { model: 'small', mode: 'plan' });
    await store().transaction((tx) => tx.insertConversation(conversation));
    expect(await store().findConversation(conversation.id)).toEqual(conversation);
  });

  test('the last offer of an agent is kept, and goes with it', async () => {
    const { agent } = await storedAgent(store());
    expect(await store().findSessionOffer(agent.id)).toBeUndefined();
    const offer = { modes: [{ id: 'ask', name: 'Ask “me”' }], models: [], mode: 'ask', model: null };
    await store().transaction((tx) => tx.setSessionOffer(agent.id, { ...offer, modes: [] }));
    await store().transaction((tx) => tx.setSessionOffer(agent.id, offer));
    expect(await store().findSessionOffer(agent.id)).toEqual(offer);
    await store().transaction((tx) => tx.deleteAgent(agent.id));
    expect(await store().findSessionOffer(agent.id)).toBeUndefined();
  });

  test('a change to a conversation that is not there is CONVERSATION_NOT_FOUND', async () => {
    const { agent } = await storedAgent(store());
    const missing = { code: 'CONVERSATION_NOT_FOUND' };
    const absent = aConversation(agent.id);
    await expect(store().transaction((tx) => tx.closeConversation(absent.id))).rejects.toMatchObject(missing);
    await expect(store().transaction((tx) => tx.setConversationSession(absent.id, 's'))).rejects.toMatchObject(missing);
    const choices = { model: null, mode: null };
    const change = store().transaction((tx) => tx.setConversationChoices(absent.id, choices));
    await expect(change).rejects.toMatchObject(missing);
    await expect(store().transaction((tx) => tx.insertMessage(aMessage(absent)))).rejects.toMatchObject(missing);
    expect(await store().findConversation(newConversationId())).toBeUndefined();
  });

  test('a message is found as it was stored, and its conversation is updated with it', async () => {
    const { conversation } = await storedAgent(store());
    const message = aMessage(conversation, { createdAt: now + 5 });
    await store().transaction((tx) => tx.insertMessage(message));
    expect(await store().findMessage(message.id)).toEqual(message);
    expect(await store().findMessage(newMessageId())).toBeUndefined();
    expect(await store().findConversation(conversation.id)).toEqual({ ...conversation, updatedAt: now + 5 });
  });

  test('messages stay in the order of their storing, whatever the clock did', async () => {
    const { agent, conversation } = await storedAgent(store());
    const other = aConversation(agent.id);
    const runId = newRunId();
    const messages = [now, now - 10, now, now + 3, now].map((createdAt, index) =>
      aMessage(index === 2 ? other : conversation, {
        createdAt,
        runId: index < 3 ? runId : null,
        role: index === 0 ? 'user' : 'agent',
      }),
    );
    await store().transaction(async (tx) => {
      await tx.insertConversation(other);
      for (const message of messages) await tx.insertMessage(message);
    });
    const page = { limit: 200, cursor: null };
    expect((await store().listMessages(agent.id, null, page)).items).toEqual(messages);
    expect((await store().listMessages(agent.id, conversation.id, page)).items).toEqual(messages.toSpliced(2, 1));
    expect((await store().listMessages(agent.id, other.id, page)).items).toEqual([messages[2]]);
    expect(await store().listReply(runId)).toEqual({ messages: messages.slice(1, 3), isCut: false });
  });

  test('what an agent has said is counted until it is spoken to', async () => {
    const { agent } = await storedAgent(store());
    const other = await storedAgent(store());
    const say = async (bytes: number): Promise<number> =>
      await store().transaction((tx) => tx.countSaid(agent.id, bytes));
    expect([await say(2), await say(3)]).toEqual([2, 5]);
    await store().transaction((tx) => tx.spokenTo(other.agent.id));
    expect(await say(1)).toBe(6);
    await store().transaction((tx) => tx.spokenTo(agent.id));
    expect([await say(4), await say(5)]).toEqual([4, 9]);
    expect(await store().transaction((tx) => tx.countSaid(other.agent.id, 1))).toBe(1);
  });

  test("an agent's listings hold nothing of another agent's conversation", async () => {
    const { agent } = await storedAgent(store());
    const foreign = await storedAgent(store());
    await store().transaction((tx) => tx.insertMessage(aMessage(foreign.conversation)));
    const page = { limit: 10, cursor: null };
    expect(await store().listMessages(agent.id, foreign.conversation.id, page)).toEqual({
      items: [],
      nextCursor: null,
    });
    expect(await store().listRuns(agent.id, foreign.conversation.id, page)).toEqual({ items: [], nextCursor: null });
  });

  test('an idempotency key holds for one principal in one conversation', async () => {
    const { agent, conversation } = await storedAgent(store());
    const scope = { principalId: agent.ownerId, conversationId: conversation.id, key: 'a key' };
    const request = { fingerprint: 'abc', runId: newRunId(), messageId: newMessageId(), acceptedAt: now };
    await store().transaction(async (tx) => {
      expect(await tx.findIdempotent(scope)).toBeUndefined();
      await tx.insertIdempotent(scope, request);
      expect(await tx.findIdempotent(scope)).toEqual(request);
    });
    await store().transaction(async (tx) => {
      expect(await tx.findIdempotent(scope)).toEqual(request);
      expect(await tx.findIdempotent({ ...scope, key: 'A key' })).toBeUndefined();
      expect(await tx.findIdempotent({ ...scope, principalId: newUserId() })).toBeUndefined();
      expect(await tx.findIdempotent({ ...scope, conversationId: newConversationId() })).toBeUndefined();
    });
    const second = store().transaction((tx) => tx.insertIdempotent(scope, { ...request, fingerprint: 'def' }));
    await expect(second).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    expect(await store().transaction((tx) => tx.findIdempotent(scope))).toEqual(request);
  });
}
