import { expect, test } from 'vitest';
import type { SandboxStatus } from '../../../src/agents/agent.ts';
import type { AgentStore } from '../../../src/agents/ports.ts';
import { newAgentId, newIncarnationId, newUserId } from '../../../src/kernel/ids.ts';
import { aDelta, aMessage, anAgent, aPermission, aRun, now, storedAgent } from '../store-records.ts';

export function agentBehaviours(store: () => AgentStore): void {
  test('an agent is found as it was stored, by its id and by its name', async () => {
    const { agent } = await storedAgent(store(), { model: 'gpt-5', sandbox: { state: 'stopped', reason: 'idle' } });
    expect(await store().findAgent(agent.id)).toEqual(agent);
    expect(await store().findAgentByName(agent.ownerId, agent.name)).toEqual(agent);
    expect(await store().findAgentByName(newUserId(), agent.name)).toBeUndefined();
    expect(await store().findAgent(newAgentId())).toBeUndefined();
    await store().transaction(async (tx) => {
      expect(await tx.findAgent(agent.id)).toEqual(agent);
      expect(await tx.findAgentByName(agent.ownerId, agent.name)).toEqual(agent);
    });
  });

  test('a name is taken once for an owner, and free for another', async () => {
    const { agent } = await storedAgent(store());
    const again = anAgent({ ownerId: agent.ownerId, name: agent.name });
    await expect(store().transaction((tx) => tx.insertAgent(again))).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    expect(await store().findAgent(again.id)).toBeUndefined();
    const elsewhere = anAgent({ name: agent.name });
    await store().transaction((tx) => tx.insertAgent(elsewhere));
    expect(await store().findAgent(elsewhere.id)).toEqual(elsewhere);
  });

  test('of many who want one name at once, one gets it', async () => {
    const ownerId = newUserId();
    const rivals = Array.from({ length: 8 }, () => anAgent({ ownerId, name: 'the-one' }));
    const outcomes = await Promise.allSettled(
      rivals.map((agent) => store().transaction((tx) => tx.insertAgent(agent))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await store().countAgents(ownerId)).toBe(1);
  });

  test('agents are counted for their owner, also in a transaction that adds one', async () => {
    const ownerId = newUserId();
    expect(await store().countAgents(ownerId)).toBe(0);
    await storedAgent(store(), { ownerId });
    await store().transaction(async (tx) => {
      await tx.insertAgent(anAgent({ ownerId }));
      expect(await tx.countAgents(ownerId)).toBe(2);
    });
    expect(await store().countAgents(ownerId)).toBe(2);
  });

  test('every id is listed, oldest first, with those under deletion marked', async () => {
    const first = (await storedAgent(store())).agent;
    const second = (await storedAgent(store())).agent;
    await store().transaction((tx) => tx.setAgentDeleting(first.id));
    const listed = await store().listAgentIds();
    expect(listed.filter(({ id }) => id === first.id || id === second.id)).toEqual([
      { id: first.id, deleting: true },
      { id: second.id, deleting: false },
    ]);
    expect((await store().findAgent(first.id))?.deleting).toBe(true);
  });

  test('every status of a sandbox is kept', async () => {
    const { agent } = await storedAgent(store());
    const statuses: readonly SandboxStatus[] = [
      { state: 'running', incarnation: newIncarnationId() },
      { state: 'stopped', reason: 'It was killed.' },
      { state: 'failed', code: 'SANDBOX_IMAGE_MISSING', message: 'There is no image.' },
      { state: 'starting' },
    ];
    for (const status of statuses) {
      await store().transaction((tx) => tx.setSandboxStatus(agent.id, status));
      expect((await store().findAgent(agent.id))?.sandbox).toEqual(status);
    }
  });

  test('lease epochs only grow, each agent its own', async () => {
    const one = (await storedAgent(store())).agent;
    const other = (await storedAgent(store())).agent;
    const epochs = await Promise.all(
      Array.from({ length: 5 }, () => store().transaction((tx) => tx.nextLeaseEpoch(one.id))),
    );
    expect(epochs).toEqual([1, 2, 3, 4, 5]);
    expect(await store().transaction((tx) => tx.nextLeaseEpoch(other.id))).toBe(1);
  });

  test('a change to an agent that is not there is AGENT_NOT_FOUND', async () => {
    const id = newAgentId();
    const missing = { code: 'AGENT_NOT_FOUND' };
    await expect(store().transaction((tx) => tx.setAgentDeleting(id))).rejects.toMatchObject(missing);
    await expect(store().transaction((tx) => tx.setSandboxStatus(id, { state: 'starting' }))).rejects.toMatchObject(
      missing,
    );
    await expect(store().transaction((tx) => tx.nextLeaseEpoch(id))).rejects.toMatchObject(missing);
    await expect(store().transaction((tx) => tx.appendEvents(id, [aDelta('x')]))).rejects.toMatchObject(missing);
  });

  test('a deleted agent leaves nothing that can be read, its name is free, and deleting again is no error', async () => {
    const { agent, conversation } = await storedAgent(store());
    const other = await storedAgent(store(), { ownerId: agent.ownerId });
    const [run, permission, incarnation] = [aRun(conversation), aPermission(conversation), newIncarnationId()];
    const message = aMessage(conversation, { runId: run.id });
    const scope = { principalId: agent.ownerId, conversationId: conversation.id, key: 'k' };
    await store().transaction(async (tx) => {
      await tx.insertMessage(message);
      await tx.insertRun(run);
      await tx.insertPermission(permission);
      await tx.appendEvents(agent.id, [aDelta('a'), aDelta('b')]);
      await tx.setJournalPosition(agent.id, incarnation, 9);
      await tx.insertIdempotent(scope, { fingerprint: 'f', runId: run.id, messageId: message.id, acceptedAt: now });
    });

    await store().transaction((tx) => tx.deleteAgent(agent.id));
    await store().transaction((tx) => tx.deleteAgent(agent.id));

    expect(await store().findAgent(agent.id)).toBeUndefined();
    expect(await store().findConversation(conversation.id)).toBeUndefined();
    expect(await store().findMessage(message.id)).toBeUndefined();
    expect(await store().listReply(run.id)).toEqual({ messages: [], isCut: false });
    expect(await store().findRun(run.id)).toBeUndefined();
    expect(await store().listActiveRuns(agent.id)).toEqual([]);
    expect(await store().findPermission(permission.id)).toBeUndefined();
    const page = { limit: 10, cursor: null };
    expect((await store().listPendingPermissions({ agentId: agent.id }, page)).items).toEqual([]);
    expect(await store().readEvents(agent.id, 0, 10)).toEqual([]);
    expect(await store().eventBounds(agent.id)).toEqual({ first: 1, last: 0 });
    expect(await store().journalPosition(agent.id, incarnation)).toBe(0);
    expect(await store().transaction((tx) => tx.findIdempotent(scope))).toBeUndefined();
    expect(await store().findAgent(other.agent.id)).toEqual(other.agent);
    expect(await store().findConversation(other.conversation.id)).toEqual(other.conversation);
    await storedAgent(store(), { ownerId: agent.ownerId, name: agent.name });
  });
}
