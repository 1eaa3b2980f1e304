import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ModelUsage } from '../../../src/controlplane/model-gateway/model-usage.ts';
import type { AgentId } from '../../../src/kernel/ids.ts';
import { aModelUsage } from '../model-usage.ts';
import { type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
let alices: ModelUsage;
let bobs: ModelUsage;
beforeAll(async () => {
  server = await startServer();
  alices = await aCallOf(server.alice, 500);
  bobs = await aCallOf(server.bob, 700);
  await server.storage.modelUsage.add([alices, alices, bobs]);
});
afterAll(() => server[Symbol.asyncDispose]());

const november = { from: '2026-11-01', to: '2026-11-30' };

async function aCallOf(owner: RunningServer['alice'], costMicros: number): Promise<ModelUsage> {
  const { data } = await server.mutate(owner, 'agents.create', { name: 'metered', wait: true });
  return aModelUsage({ userId: owner.principal.userId, agentId: (data as { id: AgentId }).id, costMicros });
}

test('members see what they took themselves, by day if they do not say', async () => {
  const { data } = await server.query(server.alice, 'usage.totals', november);
  expect(data).toMatchObject({ items: [{ day: '2026-11-21', calls: 2, costMicros: 1_000, userId: null }] });
});

test('administrators see everyone, or whom they name', async () => {
  const everyone = await server.query(server.admin, 'usage.totals', { ...november, groupBy: ['user'] });
  expect(everyone.data).toMatchObject({
    items: [
      { userId: alices.userId, calls: 2, costMicros: 1_000 },
      { userId: bobs.userId, calls: 1, costMicros: 700 },
    ],
  });
  const named = await server.query(server.admin, 'usage.totals', { ...november, userId: bobs.userId, groupBy: [] });
  expect(named.data).toMatchObject({ items: [{ costMicros: 700, day: null }] });
});

test('members who name another user are refused', async () => {
  const { status, error } = await server.query(server.alice, 'usage.totals', { ...november, userId: bobs.userId });
  expect([status, error?.code]).toEqual([403, 'FORBIDDEN']);
});

test.each([
  { from: '2026-11-02', to: '2026-11-01' },
  { from: '2025-01-01', to: '2026-01-02' },
  { from: '2026-02-30', to: '2026-03-01' },
  { from: '0001-01-01', to: '9999-12-31' },
])('days from $from to $to are refused', async (days) => {
  const { status, error } = await server.query(server.alice, 'usage.totals', days);
  expect([status, error?.code]).toEqual([400, 'BAD_REQUEST']);
});

test('the calls of an agent are listed one by one', async () => {
  const { agentId } = alices;
  const page = await server.query(server.alice, 'usage.calls', { agentId, limit: 1 });
  const { items, nextCursor } = page.data as { items: unknown[]; nextCursor: string };
  expect(items).toEqual([alices]);
  const rest = await server.query(server.alice, 'usage.calls', { agentId, cursor: nextCursor });
  expect(rest.data).toEqual({ items: [alices], nextCursor: null });
});

test('what a deleted agent took stays counted', async () => {
  const before = await server.query(server.bob, 'usage.totals', november);
  await server.mutate(server.bob, 'agents.delete', { agentId: bobs.agentId });
  expect((await server.query(server.bob, 'usage.totals', november)).data).toEqual(before.data);
});
