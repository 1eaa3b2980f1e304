import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditRecord } from '../../../src/controlplane/audit/record.ts';
import { parseTarget } from '../../../src/controlplane/egress/target.ts';
import type { AgentId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
let agentId: AgentId;
beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
  const { data } = await server.mutate(server.alice, 'agents.create', { name: 'hers' });
  agentId = (data as { id: AgentId }).id;
});
afterAll(() => server[Symbol.asyncDispose]());

async function lastOf(action: string): Promise<AuditRecord | undefined> {
  const { data } = await server.query(server.admin, 'audit.search', { action, limit: 1 });
  return (data as { items: AuditRecord[] }).items[0];
}

const change = async (path: string, input: object, caller = server.admin): Promise<unknown> => {
  const { status, data, text } = await server.mutate(caller, path, input);
  expect(status, text).toBe(200);
  return data;
};

test('a change of the rules of egress says which rules, why, and by whom', async () => {
  const add = [
    { host: '*.example.com:22', why: 'the mirror' },
    { preset: 'npm', expiresIn: 60_000 },
  ];
  const set = { agentId, mode: 'ask', add, version: 0, why: 'a project' };
  const made = (await change('egress.policy.set', set, server.alice)) as { rules: { id: string }[] };
  expect(await lastOf('egress.policy.set')).toMatchObject({
    userName: 'alice',
    agentId,
    details: {
      mode: 'ask',
      why: 'a project',
      version: 0,
      add: ['host=*.example.com:22 why=the mirror', 'preset=npm expiresIn=60000'],
    },
  });
  const removed = made.rules.map(({ id }) => id);
  await change('egress.policy.set', { agentId, remove: removed, version: 1 }, server.alice);
  expect((await lastOf('egress.policy.set'))?.details['remove']).toEqual(removed);
});

test('who let an agent out is recorded with the host, the ports and the answer; what nobody answered, too', async () => {
  const ask = (host: string): AbortController => {
    const left = new AbortController();
    server.egressPolicy.decide(agentId, parseTarget(host, '443'), left.signal).catch(() => undefined);
    return left;
  };
  ask('api.example.com');
  ask('other.example.com');
  const pending = await until('both wait', () => {
    const waiting = server.egressPolicy.pending();
    return waiting.length === 2 && waiting;
  });
  const requestId = pending.find(({ host }) => host === 'api.example.com')?.id ?? '';
  await change('egress.decide', { requestId, answer: 'agent', why: 'the build' }, server.alice);
  expect(await lastOf('egress.decide')).toMatchObject({
    userName: 'alice',
    agentId,
    targets: expect.arrayContaining([requestId, agentId]),
    details: { answer: 'agent', why: 'the build', host: 'api.example.com', ports: ['443'] },
  });
  const { data } = await server.query(server.alice, 'egress.policy.get', { agentId });
  const { version } = data as { version: number };
  await change(
    'egress.policy.set',
    { agentId, add: [{ effect: 'deny', host: 'other.example.com' }], version },
    server.alice,
  );
  const { data: after } = await server.query(server.alice, 'egress.policy.get', { agentId });
  const { rules } = after as { rules: { id: string; host: string }[] };
  const ruleId = rules.find(({ host }) => host === 'api.example.com')?.id ?? '';
  await change('egress.policy.set', { agentId, remove: [ruleId] }, server.alice);
  expect((await lastOf('egress.policy.set'))?.details).toEqual({
    remove: [ruleId],
    removed: ['effect=allow host=api.example.com ports=443 preset=null why=the build'],
  });
  const lapsed = await until('the other is settled', async () => await lastOf('egress.lapsed'));
  expect(lapsed).toMatchObject({ userId: null, agentId, details: { host: 'other.example.com', how: 'ruled' } });
});

test('quotas, plans, keys, shares and people are recorded with what was changed', async () => {
  await change('quotas.setPlan', { name: 'team', version: 0, limits: { tokens: 5, cost: null } });
  expect((await lastOf('quotas.setPlan'))?.details).toEqual({
    name: 'team',
    version: 0,
    limits: ['tokens=5', 'cost=null'],
  });
  await change('quotas.set', { of: { user: 'bob' }, version: 0, plan: 'team', timeZone: 'Europe/Berlin' });
  expect((await lastOf('quotas.set'))?.details).toMatchObject({
    of: ['user=bob'],
    plan: 'team',
    timeZone: 'Europe/Berlin',
  });
  const { secret } = (await change('keys.create', {
    user: 'bob',
    name: 'ci',
    scopes: ['use'],
    agents: [agentId],
    expiresIn: 60_000,
  })) as { secret: string };
  const key = await lastOf('keys.create');
  expect(key?.details).toMatchObject({
    user: 'bob',
    name: 'ci',
    scopes: ['use'],
    agents: [agentId],
    expiresIn: 60_000,
  });
  await change('agents.share', { agentId, user: 'bob', role: 'editor' }, server.alice);
  expect(await lastOf('agents.share')).toMatchObject({ agentId, details: { user: 'bob', role: 'editor' } });
  await change('agents.unshare', { agentId, user: 'bob' }, server.alice);
  expect((await lastOf('agents.unshare'))?.details).toEqual({ user: 'bob', existed: true });
  const invited = (await change('users.invite', { name: 'ida', role: 'auditor' })) as {
    invitation: string;
    user: { id: string };
  };
  await server.mutate(null, 'users.accept', { invitation: invited.invitation });
  await change('users.delete', { userId: invited.user.id, agents: 'delete' });
  expect(await lastOf('users.delete')).toMatchObject({ targets: [invited.user.id], details: { deletedAgents: 0 } });
  const { data } = await server.query(server.admin, 'audit.search', { limit: 200 });
  const text = JSON.stringify(data);
  expect([text.includes(secret), text.includes(invited.invitation)]).toEqual([false, false]);
});

test('a secret for a host is recorded by its place and form, never by its value', async () => {
  const form = { kind: 'basic', username: 'git' };
  await change('secrets.set', { agentId, host: 'git.example.com', form, value: 'hunter2-hunter2' }, server.alice);
  const record = await lastOf('secrets.set');
  expect(record).toMatchObject({ agentId, details: { host: 'git.example.com', form: ['kind=basic', 'username=git'] } });
  expect(JSON.stringify(record)).not.toContain('hunter2');
});

test('what is about an agent by another id is found by the agent', async () => {
  const { id: conversationId } = (await change('conversations.open', { agentId }, server.alice)) as { id: string };
  await change('runs.start', { conversationId, message: 'hunter2' }, server.alice);
  const record = await lastOf('runs.start');
  expect(record).toMatchObject({ agentId, targets: expect.arrayContaining([conversationId, agentId]) });
  expect(JSON.stringify(record)).not.toContain('hunter2');
});
