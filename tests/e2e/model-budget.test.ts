import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { type EndedRun, Talk } from './support/talk.ts';

/** Codex's first request alone is counted as some 10,000 tokens or more. */
const tokens = 60_000;

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane({ CAISSON_QUOTAS: `tokens=${tokens}` });
});
afterAll(() => plane[Symbol.asyncDispose]());

const someDays = (): { readonly from: string; readonly to: string } => {
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  return { from: day(Date.now() - 86_400_000), to: day(Date.now() + 86_400_000) };
};

/** Milliseconds from the last thing that the model said to the end of the run. */
function endedAfter({ events, end }: EndedRun): number {
  const last = events.findLast(({ type }) => type === 'message.delta');
  return end.at - (last?.at ?? Number.NaN);
}

test('a turn that passes its budget in the middle of its answer ends with the quota error in under a second', async () => {
  await using talk = await Talk.open(plane.client, 'spends');
  const before = plane.model.requestCount;
  // Far more than there is: 4,000 characters are counted as some 940 tokens.
  const cut = await talk.say('stream 5000 x 4000');
  expect(cut.run).toMatchObject({
    state: 'failed',
    reason: 'model_quota_exhausted',
    message: expect.stringContaining('The tokens quota of this user has no room'),
  });
  expect(plane.model.requestCount - before).toBe(1);
  expect(endedAfter(cut)).toBeLessThan(1_000);
  const said = cut.events.filter(({ type }) => type === 'message.delta').length;
  expect(said).toBeGreaterThan(0);
  expect(said).toBeLessThan(5_000);
  const [call] = await until('the call', async () => {
    const { items } = await plane.client.usage.calls.query({ agentId: talk.agentId });
    return items.length === 1 && items;
  });
  expect(call).toMatchObject({ outcome: 'budget_spent', isEstimated: true, runId: cut.run.id });

  const { items } = await plane.client.usage.totals.query({ ...someDays(), agentId: talk.agentId, groupBy: [] });
  // One chunk of what the service says may be on its way when there is no more room.
  expect((items[0]?.inputTokens ?? 0) + (items[0]?.outputTokens ?? 0)).toBeLessThan(tokens + 17_000);
});

test('a turn whose budget is too small for its question ends at once, and no model is asked', async () => {
  await using small = await startTestControlPlane({ CAISSON_QUOTAS: 'tokens=5000' });
  await using talk = await Talk.open(small.client, 'refused');
  const took: number[] = [];
  // The first one starts Codex, and the machine may be busy; one that is tried again takes seconds each time.
  for (let turn = 0; turn < 4; turn++) {
    const { run, end, events, said } = await talk.say('say no');
    expect(run).toMatchObject({ state: 'failed', reason: 'model_quota_exhausted' });
    // What Codex says of it sends its reader to a plan and to billing.
    expect(run.message).toMatch(
      /^The tokens quota of this user has no room: 0 of 5000 are used; this needs \d{4,5} more\./,
    );
    expect(said).toEqual([]);
    took.push(end.at - (events.find(({ type }) => type === 'run.started')?.at ?? Number.NaN));
  }
  expect(Math.min(...took)).toBeLessThan(1_000);
  expect(small.model.requestCount).toBe(0);
  expect(await small.client.usage.calls.query({ agentId: talk.agentId })).toMatchObject({ items: [] });
});
