import { expect, test } from 'vitest';
import type { AuditRecord } from '../../../src/controlplane/audit/record.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { type RunningServer, startServer } from '../running-server.ts';

async function search(server: RunningServer, filter: object): Promise<AuditRecord[]> {
  const { data } = await server.query(server.admin, 'audit.search', { limit: 200, ...filter });
  return (data as { items: AuditRecord[] }).items;
}

test('a key that is not known is recorded with where it came from, and without itself', async () => {
  await using server = await startServer();
  const secret = `ck_${'x'.repeat(43)}`;
  const caller = { secret, principal: server.alice.principal };
  expect((await server.mutate(caller, 'agents.create', { name: 'one' })).status).toBe(401);
  expect((await server.query(caller, 'agents.list')).status).toBe(401);
  const response = await server.subscribe(caller, { agentId: newAgentId() });
  await response.text();
  const [subscribed, listed, created] = await search(server, {});
  expect(created).toMatchObject({ action: 'agents.create', outcome: 'UNAUTHORIZED', userId: null, details: {} });
  expect(listed).toMatchObject({ action: 'agents.list', outcome: 'UNAUTHORIZED', address: '127.0.0.1' });
  expect(subscribed).toMatchObject({ action: 'events.subscribe', outcome: 'UNAUTHORIZED' });
  expect(JSON.stringify([subscribed, listed, created])).not.toContain('xxxx');
});

test('a flood of refusals fills no disk, and its number is known', async () => {
  await using server = await startServer();
  for (let each = 0; each < 60; each++) await server.query(null, 'agents.list');
  expect(await search(server, { action: 'agents.list' })).toMatchObject([{ count: 1 }]);
  // Of many kinds, each of another agent.
  for (let each = 0; each < 60; each++) {
    await server.mutate(server.bob, 'agents.delete', { agentId: newAgentId(), more: each });
  }
  const userId = server.bob.principal.userId;
  expect(await search(server, { userId })).toHaveLength(32);
  server.recordCounts();
  const [others] = await search(server, { userId, action: '*' });
  expect(others).toMatchObject({ outcome: 'BAD_REQUEST', count: 60 - 32, agentId: null });
  const listed = await search(server, { action: 'agents.list' });
  expect(listed.map(({ count }) => count)).toEqual([59, 1]);
});

test('who is no auditor does not see the audit, and an auditor does', async () => {
  await using server = await startServer();
  const auditor = await server.caller('ida', 'auditor');
  for (const path of ['audit.search', 'audit.verify']) {
    expect((await server.query(server.alice, path)).error?.code).toBe('FORBIDDEN');
    expect((await server.query(auditor, path)).status).toBe(200);
  }
  const refused = await search(server, { userId: server.alice.principal.userId });
  expect(refused.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
    'audit.verify FORBIDDEN',
    'audit.search FORBIDDEN',
  ]);
});
