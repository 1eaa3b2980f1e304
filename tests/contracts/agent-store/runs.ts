import { expect, test } from 'vitest';
import type { AgentStore, RunChange } from '../../../src/agents/ports.ts';
import { isTerminal, type Run, type RunEnd } from '../../../src/agents/run.ts';
import { newIncarnationId, newRunId } from '../../../src/kernel/ids.ts';
import { aConversation, aRun, now, storedAgent } from '../store-records.ts';

const usage = { inputTokens: 5, cachedInputTokens: 1, outputTokens: 7, reasoningTokens: 2, totalTokens: 12 };

export function runBehaviours(store: () => AgentStore): void {
  const move = (id: Run['id'], from: Run['state'], change: RunChange): Promise<boolean> =>
    store().transaction((tx) => tx.moveRun(id, from, change));

  test('a run is found as it was stored', async () => {
    const { conversation } = await storedAgent(store());
    const run = aRun(conversation);
    await store().transaction(async (tx) => {
      await tx.insertRun(run);
      expect(await tx.findRun(run.id)).toEqual(run);
    });
    expect(await store().findRun(run.id)).toEqual(run);
    expect(await store().findRun(newRunId())).toBeUndefined();
  });

  test('a run moves through its states, and keeps what each brought', async () => {
    const { conversation } = await storedAgent(store());
    const run = aRun(conversation);
    const incarnation = newIncarnationId();
    await store().transaction((tx) => tx.insertRun(run));
    expect(await move(run.id, 'queued', { state: 'starting', incarnation: null })).toBe(true);
    expect(await move(run.id, 'starting', { state: 'starting', incarnation })).toBe(true);
    expect(await move(run.id, 'starting', { state: 'running', startedAt: now + 1 })).toBe(true);
    expect(await move(run.id, 'running', { state: 'awaiting_permission' })).toBe(true);
    expect(await move(run.id, 'awaiting_permission', { state: 'running' })).toBe(true);
    expect(await store().findRun(run.id)).toEqual({ ...run, state: 'running', incarnation, startedAt: now + 1 });
    const end: RunChange = { state: 'completed', reason: 'end_turn', message: null, endedAt: now + 2, usage };
    expect(await move(run.id, 'running', end)).toBe(true);
    expect(await store().findRun(run.id)).toEqual({ ...run, incarnation, startedAt: now + 1, ...end });
  });

  test('every way to end is kept', async () => {
    const { conversation } = await storedAgent(store());
    const ends: readonly RunEnd[] = [
      { state: 'completed', reason: 'refusal', message: null },
      { state: 'failed', reason: 'model_error', message: 'The model service answered 500.' },
      { state: 'canceled', reason: 'canceled_by_user', message: null },
      { state: 'timed_out', reason: 'harness_idle', message: 'Silent for 10 minutes.' },
      { state: 'interrupted', reason: 'sandbox_lost', message: null },
      { state: 'rejected', reason: 'access_revoked', message: null },
    ];
    for (const end of ends) {
      const run = aRun(conversation);
      await store().transaction((tx) => tx.insertRun(run));
      expect(await move(run.id, 'queued', { ...end, endedAt: now, usage: null })).toBe(true);
      expect(await store().findRun(run.id)).toEqual({ ...run, ...end, endedAt: now });
    }
  });

  test('a move from a state that the run is not in changes nothing', async () => {
    const { conversation } = await storedAgent(store());
    const run = aRun(conversation);
    await store().transaction((tx) => tx.insertRun(run));
    expect(await move(run.id, 'running', { state: 'awaiting_permission' })).toBe(false);
    expect(await move(newRunId(), 'queued', { state: 'starting', incarnation: null })).toBe(false);
    expect(await store().findRun(run.id)).toEqual(run);
  });

  test('of many who end a run at once, one does', async () => {
    const { conversation } = await storedAgent(store());
    const run = aRun(conversation);
    await store().transaction((tx) => tx.insertRun(run));
    const ends = Array.from({ length: 10 }, (_, index) => `reason ${index}`);
    const moved = await Promise.all(
      ends.map((message) =>
        move(run.id, 'queued', { state: 'canceled', reason: 'canceled_by_user', message, endedAt: now, usage: null }),
      ),
    );
    expect(moved.filter((did) => did)).toHaveLength(1);
    expect(await store().findRun(run.id)).toMatchObject({ state: 'canceled', message: ends[moved.indexOf(true)] });
  });

  test('a request to cancel is kept; of a run that is not there it is RUN_NOT_FOUND', async () => {
    const { conversation } = await storedAgent(store());
    const run = aRun(conversation);
    await store().transaction(async (tx) => {
      await tx.insertRun(run);
      await tx.requestRunCancel(run.id);
    });
    expect(await store().findRun(run.id)).toEqual({ ...run, cancelRequested: true });
    await expect(store().transaction((tx) => tx.requestRunCancel(newRunId()))).rejects.toMatchObject({
      code: 'RUN_NOT_FOUND',
    });
  });

  test('runs that are not over are listed in the order of their acceptance, whatever the clock did', async () => {
    const { agent, conversation } = await storedAgent(store());
    const other = aConversation(agent.id);
    const foreign = await storedAgent(store());
    const states = ['queued', 'starting', 'running', 'awaiting_permission', 'queued', 'queued'] as const;
    const runs = states.map((state, index) =>
      aRun(index === 4 ? foreign.conversation : index % 2 === 0 ? conversation : other, {
        state,
        acceptedAt: now - index,
      }),
    );
    const ended = aRun(conversation);
    await store().transaction(async (tx) => {
      await tx.insertConversation(other);
      await tx.insertRun(ended);
      for (const run of runs) await tx.insertRun(run);
      await tx.moveRun(ended.id, 'queued', {
        state: 'canceled',
        reason: 'canceled_by_user',
        message: null,
        endedAt: now,
        usage: null,
      });
      expect(await tx.listActiveRuns({ conversationId: conversation.id })).toEqual([runs[0], runs[2]]);
      expect(await tx.listActiveRuns({ agentId: agent.id })).toEqual(runs.toSpliced(4, 1));
    });
    expect(await store().listActiveRuns(agent.id)).toEqual(runs.toSpliced(4, 1));
    const everywhere = await store().listActiveRuns();
    expect(everywhere.filter(({ id }) => runs.some((run) => run.id === id))).toEqual(runs);
    expect(everywhere.some(({ state }) => isTerminal(state))).toBe(false);
    const page = { limit: 10, cursor: null };
    expect((await store().listRuns(agent.id, other.id, page)).items).toEqual([runs[5], runs[3], runs[1]]);
    expect((await store().listRuns(agent.id, null, page)).items.map(({ id }) => id)).toEqual(
      [ended, ...runs.toSpliced(4, 1)].toReversed().map(({ id }) => id),
    );
  });
}
