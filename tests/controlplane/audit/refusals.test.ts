import { once } from 'node:events';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { AuditRecord } from '../../../src/controlplane/audit/record.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { signedIn } from '../login/people.ts';
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

test('what another site asks with the cookie of somebody is recorded, on every way in, and is no error of ours', async () => {
  await using server = await startServer();
  const { cookie } = await signedIn(server);
  const agentId = newAgentId();
  const headers = { cookie, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  const json = { ...headers, 'content-type': 'application/json' };
  const form = new URLSearchParams({ email: 'ida@example.com', password: 'of another site' });
  const input = encodeURIComponent(JSON.stringify({ agentId }));
  const asked: readonly (readonly [string, RequestInit])[] = [
    ['/trpc/agents.create', { method: 'POST', headers: json, body: '{"name":"one"}' }],
    ['/trpc/sessions.revokeAll', { method: 'POST', headers: json }],
    [`/trpc/agents.get?input=${input}`, { headers }],
    [`/trpc/events.subscribe?input=${input}`, { headers }],
    [`/v1/agents/${agentId}/file?path=x`, { headers }],
    [`/v1/agents/${agentId}/file?path=x`, { method: 'PUT', headers, body: 'x' }],
    ['/v1/audit/export', { headers }],
    ['/metrics', { headers }],
    ['/login', { method: 'POST', headers, body: form }],
    ['/logout', { method: 'POST', headers, body: form }],
    ['/login/oidc', { headers }],
  ];
  for (const [path, init] of asked) await (await fetch(`${server.url}${path}`, init)).text();
  const socket = new WebSocket(
    `${server.url.replace('http', 'ws')}/v1/agents/${agentId}/ports/80/connect`,
    'caisson.v1',
    { headers },
  );
  socket.on('error', () => undefined);
  await once(socket, 'unexpected-response');
  const refused = (await search(server, {})).filter(({ outcome }) => outcome === 'FORBIDDEN');
  expect(refused.map(({ action }) => action).toReversed()).toEqual([
    'agents.create',
    'sessions.revokeAll',
    'agents.get',
    'events.subscribe',
    'GET /v1/agents/:agentId/file',
    'PUT /v1/agents/:agentId/file',
    'GET /v1/audit/export',
    'GET /metrics',
    'POST /login',
    'POST /logout',
    'GET /login/oidc',
    'WS /v1/agents/:agentId/ports/:port/connect',
  ]);
  expect(refused.every(({ userId, address }) => userId === null && address === '127.0.0.1')).toBe(true);
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('who calls too often is recorded with what was asked for, on every way in', async () => {
  await using server = await startServer({ requestsPerKey: 1 });
  const { alice } = server;
  await server.query(alice, 'agents.list');
  const headers = { authorization: `Bearer ${alice.secret}`, 'content-type': 'application/json' };
  const agentId = newAgentId();
  expect((await server.mutate(alice, 'agents.create', { name: 'one' })).status).toBe(429);
  const ask = async (path: string, method: string, body: string | null) =>
    (await fetch(`${server.url}${path}`, { method, headers, body })).status;
  expect(await ask('/trpc/sessions.revokeAll', 'POST', null)).toBe(429);
  expect(await ask(`/v1/agents/${agentId}/file?path=x`, 'PUT', 'x')).toBe(429);
  const socket = new WebSocket(
    `${server.url.replace('http', 'ws')}/v1/agents/${agentId}/ports/80/connect`,
    'caisson.v1',
    { headers },
  );
  socket.on('error', () => undefined);
  await once(socket, 'unexpected-response');
  const limited = (await search(server, { userId: alice.principal.userId })).filter(
    ({ outcome }) => outcome === 'RATE_LIMITED',
  );
  expect(limited.map(({ action }) => action).toReversed()).toEqual([
    'agents.create',
    'sessions.revokeAll',
    'PUT /v1/agents/:agentId/file',
    'WS /v1/agents/:agentId/ports/:port/connect',
  ]);
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
