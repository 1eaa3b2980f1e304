import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ModelUsage } from '../../../src/controlplane/model-gateway/model-usage.ts';
import { createModelUsageStore } from '../../../src/controlplane/storage/model-usage-store.ts';
import { openSqlite } from '../../../src/controlplane/storage/open-sqlite.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import { StorageAccess } from '../../../src/controlplane/storage/storage-access.ts';
import { newAgentId, newConversationId, newRunId, newUserId } from '../../../src/kernel/ids.ts';
import { aConversation, anAgent, aRun, now } from '../../contracts/store-records.ts';
import { dataDirectory } from './data-directory.ts';

const someDay = Date.UTC(2026, 10, 21, 23, 59);
const dayMs = 24 * 3_600_000;
const page = { limit: 10, cursor: null };

function aCall(fields: Partial<ModelUsage> = {}): ModelUsage {
  return {
    at: someDay,
    userId: newUserId(),
    agentId: newAgentId(),
    conversationId: newConversationId(),
    runId: newRunId(),
    upstream: 'main',
    api: 'responses',
    model: 'gpt-5.5',
    outcome: 'answered',
    inputTokens: 100,
    cachedInputTokens: 40,
    cacheWriteTokens: 5,
    outputTokens: 10,
    reasoningTokens: 3,
    costMicros: 620,
    isEstimated: false,
    priceVersion: '2026-11-21',
    ms: 12,
    ...fields,
  };
}

async function withStorage(work: (storage: Storage) => Promise<void>): Promise<void> {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  try {
    await work(storage);
  } finally {
    await storage.close();
  }
}

describe('calls', () => {
  test('are kept as they were, and listed by agent, conversation and run, the newest first', async () => {
    await withStorage(async ({ modelUsage }) => {
      const first = aCall();
      const { agentId, conversationId, runId } = first;
      const second = aCall({ agentId, conversationId, runId: null, isEstimated: true, priceVersion: 'default' });
      const third = aCall({ agentId, conversationId: null, runId: null });
      await modelUsage.add([first, second]);
      await modelUsage.add([third, aCall()]);
      const all = { agentId, conversationId: null, runId: null };
      expect((await modelUsage.listCalls(all, page)).items).toEqual([third, second, first]);
      expect((await modelUsage.listCalls({ ...all, conversationId }, page)).items).toEqual([second, first]);
      expect((await modelUsage.listCalls({ ...all, runId }, page)).items).toEqual([first]);
      const two = await modelUsage.listCalls(all, { limit: 2, cursor: null });
      expect(two.items).toEqual([third, second]);
      expect((await modelUsage.listCalls(all, { limit: 2, cursor: two.nextCursor })).items).toEqual([first]);
    });
  });

  test('beyond those that are kept are forgotten, the oldest first, whatever the clock said; their sums stay', async () => {
    using directory = dataDirectory();
    const db = await openSqlite(join(directory.path, 'caisson.db'));
    const store = createModelUsageStore(new StorageAccess(db), { calls: 3, days: 400 });
    const agentId = newAgentId();
    const userId = newUserId();
    const calls = [0, 40 * 365 * dayMs, -10 * dayMs, 1, 2].map((jump) =>
      aCall({ agentId, userId, at: someDay + jump }),
    );
    for (const call of calls) await store.add([call]);
    const kept = await store.listCalls({ agentId, conversationId: null, runId: null }, page);
    expect(kept.items).toEqual(calls.slice(2).toReversed());
    const [total] = await store.totals({ from: '2000-01-01', to: '2999-12-31', userId, agentId: null, groupBy: [] });
    expect(total).toMatchObject({ calls: 5, inputTokens: 500, day: null, userId: null, agentId: null, model: null });
    await db.destroy();
  });
});

describe('sums', () => {
  test('are grouped by what is asked, of the days and users that are asked', async () => {
    await withStorage(async ({ modelUsage }) => {
      const [userId, agentId] = [newUserId(), newAgentId()];
      const own = { userId, agentId };
      await modelUsage.add([
        aCall(own),
        aCall(own),
        aCall({ ...own, model: 'my-own', priceVersion: 'default', isEstimated: true, costMicros: 9_000 }),
        aCall({ ...own, at: someDay + 60_000 }),
        aCall(),
      ]);
      await modelUsage.add([aCall(own)]);
      const filter = { from: '2026-11-21', to: '2026-11-22', userId, agentId: null };
      expect(await modelUsage.totals({ ...filter, groupBy: ['day', 'model'] })).toEqual([
        expect.objectContaining({ day: '2026-11-22', model: 'gpt-5.5', calls: 1, costMicros: 620, userId: null }),
        expect.objectContaining({ day: '2026-11-21', model: 'my-own', estimatedCalls: 1, unpricedCalls: 1 }),
        expect.objectContaining({
          day: '2026-11-21',
          model: 'gpt-5.5',
          calls: 3,
          estimatedCalls: 0,
          unpricedCalls: 0,
          inputTokens: 300,
          cachedInputTokens: 120,
          cacheWriteTokens: 15,
          outputTokens: 30,
          reasoningTokens: 9,
          costMicros: 1_860,
        }),
      ]);
      const users = await modelUsage.totals({ ...filter, userId: null, to: '2026-11-21', groupBy: ['user'] });
      expect(users.map(({ calls }) => calls)).toEqual([4, 1]);
      expect(await modelUsage.totals({ ...filter, from: '2026-11-23', to: '2026-11-24', groupBy: [] })).toEqual([]);
    });
  });

  test('of the last days that had any are kept: one day out of order forgets no more than one', async () => {
    using directory = dataDirectory();
    const db = await openSqlite(join(directory.path, 'caisson.db'));
    const store = createModelUsageStore(new StorageAccess(db), { calls: 100, days: 3 });
    for (const day of [0, 1, 2, 20_000, 3]) await store.add([aCall({ at: someDay + day * dayMs })]);
    const days = await store.totals({
      from: '2000-01-01',
      to: '2999-12-31',
      userId: null,
      agentId: null,
      groupBy: ['day'],
    });
    expect(days.map(({ day }) => day)).toEqual(['2081-08-24', '2026-11-24', '2026-11-23']);
    await db.destroy();
  });

  test('add up when many calls end at the same time', async () => {
    await withStorage(async ({ modelUsage }) => {
      const own = { userId: newUserId(), agentId: newAgentId() };
      await Promise.all(Array.from({ length: 50 }, () => modelUsage.add([aCall(own), aCall(own)])));
      const filter = { from: '2026-11-21', to: '2026-11-21', ...own, groupBy: [] };
      expect(await modelUsage.totals(filter)).toMatchObject([{ calls: 100, costMicros: 62_000 }]);
    });
  });
});

describe('whom a call is counted on', () => {
  test('is the conversation that its session names, with its run, else that of the only run', async () => {
    await withStorage(async ({ agents, identities, modelCallers }) => {
      const user = await identities.insertUser({
        id: newUserId(),
        name: 'ada',
        role: 'member',
        createdAt: now,
        disabledAt: null,
      });
      const agent = anAgent({ ownerId: user.id });
      const [one, two, idle] = [aConversation(agent.id), aConversation(agent.id), aConversation(agent.id)];
      const [first, second, waiting] = [aRun(one), aRun(two), aRun(idle)];
      await agents.transaction(async (tx) => {
        await tx.insertAgent(agent);
        for (const [conversation, session] of [
          [one, 's-1'],
          [two, 's-2'],
          [idle, 's-3'],
        ] as const) {
          await tx.insertConversation(conversation);
          await tx.setConversationSession(conversation.id, session);
        }
        await tx.insertRun(waiting);
        await tx.insertRun(first);
        await tx.moveRun(first.id, 'queued', { state: 'starting', incarnation: null });
      });
      const owner = { userId: user.id, userName: 'ada', agentId: agent.id };
      const ofFirst = { ...owner, conversationId: one.id, runId: first.id };
      expect(await modelCallers.find(agent.id, ['s-1'])).toEqual(ofFirst);
      expect(await modelCallers.find(agent.id, ['unknown', 's-1'])).toEqual(ofFirst);
      // A call that the harness makes unseen, in a session of its own.
      expect(await modelCallers.find(agent.id, ['unknown'])).toEqual(ofFirst);
      expect(await modelCallers.find(agent.id, [])).toEqual(ofFirst);
      // A conversation whose run only waits.
      expect(await modelCallers.find(agent.id, ['s-3'])).toEqual({ ...owner, conversationId: idle.id, runId: null });
      await agents.transaction(async (tx) => {
        await tx.insertRun(second);
        await tx.moveRun(second.id, 'queued', { state: 'starting', incarnation: null });
      });
      expect(await modelCallers.find(agent.id, ['s-2'])).toEqual({
        ...owner,
        conversationId: two.id,
        runId: second.id,
      });
      expect(await modelCallers.find(agent.id, ['unknown'])).toEqual({ ...owner, conversationId: null, runId: null });
      await agents.transaction(async (tx) => {
        const end = { state: 'completed', reason: 'end_turn', message: null, endedAt: now, usage: null } as const;
        await tx.moveRun(first.id, 'starting', end);
      });
      expect(await modelCallers.find(agent.id, ['unknown'])).toEqual({
        ...owner,
        conversationId: two.id,
        runId: second.id,
      });
      expect(await modelCallers.find(newAgentId(), ['s-1'])).toBeUndefined();
      await agents.transaction(async (tx) => await tx.setAgentDeleting(agent.id));
      expect(await modelCallers.find(agent.id, ['s-1'])).toBeUndefined();
    });
  });
});
