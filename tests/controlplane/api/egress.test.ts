import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentId } from '../../../src/kernel/ids.ts';
import { newUserId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
let agentId: AgentId;
beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
  agentId = await newAgent('hers');
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function newAgent(name: string): Promise<AgentId> {
  const { data } = await server.mutate(server.alice, 'agents.create', { name });
  return (data as { id: AgentId }).id;
}

const verdictOf = async (of: AgentId, host: string, port = 443): Promise<unknown> => {
  const { data } = await server.query(server.alice, 'egress.policy.test', { agentId: of, host, port });
  return (data as { verdict: unknown }).verdict;
};

describe('a policy', () => {
  test('of an agent is set with who, when, why and until when, and says so', async () => {
    const before = await server.query(server.alice, 'egress.policy.get', { agentId });
    expect(before.data).toEqual({
      mode: null,
      effective: { mode: 'deny', source: 'agent' },
      rules: [],
      version: 0,
      changedBy: null,
      changedByName: null,
      changedAt: null,
      why: null,
    });
    const { data } = await server.mutate(server.alice, 'egress.policy.set', {
      agentId,
      mode: 'open',
      add: [
        { host: 'API.Example.com.', why: 'the build', expiresIn: 60_000 },
        { host: '*.example.com:22' },
        { host: '2606:4700:0::1111', effect: 'deny' },
        { preset: 'npm' },
      ],
      version: 0,
      why: 'a new project',
    });
    const by = { addedBy: server.alice.principal.userId, addedByName: 'alice', expired: false };
    expect(data).toMatchObject({
      mode: 'open',
      effective: { mode: 'ask', source: 'operator' },
      version: 1,
      changedByName: 'alice',
      why: 'a new project',
      rules: [
        { ...by, effect: 'allow', host: 'api.example.com', ports: [80, 443], preset: null, why: 'the build' },
        { ...by, effect: 'allow', host: '*.example.com', ports: [22], expiresAt: null },
        { ...by, effect: 'deny', host: '2606:4700::1111', ports: 'any' },
        { ...by, effect: 'allow', host: null, ports: null, preset: 'npm' },
      ],
    });
    expect((await server.query(server.alice, 'egress.policy.get', { agentId })).data).toEqual(data);
    expect(await verdictOf(agentId, 'api.example.com')).toBe('allow');
    expect(await verdictOf(agentId, 'api.example.com', 22)).toBe('allow');
    expect(await verdictOf(agentId, 'other.example')).toBe('ask');
    const stale = await server.mutate(server.alice, 'egress.policy.set', { agentId, mode: 'deny', version: 0 });
    expect([stale.status, stale.error?.code]).toEqual([409, 'EGRESS_POLICY_CHANGED']);
  });

  test.each([
    [{ host: 'https://example.com' }],
    [{ host: 'example.com', preset: 'npm' }],
    [{ preset: 'everything' }],
    [{}],
    [{ host: '*' }],
    [{ host: '*.com' }],
    [{ host: '*.93.184.215.14' }],
    [{ host: 'a.example:22', ports: [80] }],
    [{ host: 'a.example', ports: [] }],
    [{ host: 'a.example', effect: 'permit' }],
    [{ host: 'a.example', why: 'x'.repeat(501) }],
    [{ host: 'a.example', expiresIn: Number.MAX_SAFE_INTEGER }],
  ])('with the rule %j is refused', async (rule) => {
    const other = await newAgent(`refused-${Math.random().toString(36).slice(2)}`);
    const refused = await server.mutate(server.alice, 'egress.policy.set', { agentId: other, add: [rule] });
    expect([refused.status, refused.error?.code]).toEqual([400, 'BAD_REQUEST']);
    const { data } = await server.query(server.alice, 'egress.policy.get', { agentId: other });
    expect(data).toMatchObject({ version: 0, rules: [] });
  });

  test('of everyone is for administrators, and reaches every agent', async () => {
    for (const path of ['query', 'mutate'] as const) {
      const name = path === 'query' ? 'egress.policy.get' : 'egress.policy.set';
      const refused = await server[path](server.alice, name, { scope: 'operator' });
      expect([refused.status, refused.error?.code]).toEqual([403, 'FORBIDDEN']);
    }
    const quiet = await newAgent('quiet');
    expect(await verdictOf(quiet, 'given.example')).toBe('deny');
    const given = { scope: 'operator', add: [{ host: 'given.example' }] };
    await server.mutate(server.admin, 'egress.policy.set', given);
    expect(await verdictOf(quiet, 'given.example')).toBe('allow');
  });

  test.each(['10.0.0.1', '0xa9fea9fe', '127.1:80', '[::1]:443', '::ffff:8.8.8.8'])(
    'takes no rule that lets out to %s, which could never work, and keeps what denies it',
    async (host) => {
      const hopeful = await newAgent(`hopeful-${Math.random().toString(36).slice(2)}`);
      const add = [{ host: 'example.com' }, { host }];
      const set = { agentId: hopeful, mode: 'open', add };
      const { status, error } = await server.mutate(server.alice, 'egress.policy.set', set);
      expect([status, error]).toEqual([
        400,
        expect.objectContaining({
          code: 'BAD_REQUEST',
          message: expect.stringContaining('is an address that is not public, which no rule can allow.'),
          hint: expect.stringContaining('CAISSON_EGRESS_INTERNAL'),
        }),
      ]);
      const { data } = await server.query(server.alice, 'egress.policy.get', { agentId: hopeful });
      expect(data).toMatchObject({ version: 0, mode: null, rules: [] });
      const permit = { scope: 'operator', add: [{ host, effect: 'permit' }] };
      expect((await server.mutate(server.admin, 'egress.policy.set', permit)).status).toBe(400);
      const deny = { agentId: hopeful, add: [{ host, effect: 'deny' }] };
      expect((await server.mutate(server.alice, 'egress.policy.set', deny)).status).toBe(200);
    },
  );

  test.each(['localhost', 'npn'])('takes no rule that lets out to %s: a preset that is mistyped', async (host) => {
    const hopeful = await newAgent(`hopeful-${Math.random().toString(36).slice(2)}`);
    const set = { agentId: hopeful, mode: 'open', add: [{ host }] };
    const { status, error } = await server.mutate(server.alice, 'egress.policy.set', set);
    expect([status, error?.code]).toEqual([400, 'BAD_REQUEST']);
    expect(error?.message).toContain('is no preset, and no host of the world');
    const deny = { agentId: hopeful, add: [{ host, effect: 'deny' }] };
    expect((await server.mutate(server.alice, 'egress.policy.set', deny)).status).toBe(200);
  });

  test('does not say that an address which is not public could be reached', async () => {
    const walled = await newAgent('walled');
    await server.mutate(server.alice, 'egress.policy.set', { agentId: walled, mode: 'ask' });
    expect(await verdictOf(walled, '93.184.215.14')).toBe('ask');
    expect(await verdictOf(walled, '0xa9fea9fe', 80)).toBe('deny');
    const { data } = await server.query(server.alice, 'egress.policy.test', { agentId: walled, host: '10.0.0.1' });
    const reason =
      '10.0.0.1:443 is an address that is not public. If it is a host of your own network, an administrator can name it in CAISSON_EGRESS_INTERNAL.';
    expect(data).toEqual({ verdict: 'deny', source: 'settings', rule: null, reason, host: '10.0.0.1', port: 443 });
  });

  test('of a user holds for all agents of that user, within the ceiling that an administrator gives', async () => {
    const one = await newAgent('one');
    const { userId } = server.alice.principal;
    await server.mutate(server.alice, 'egress.policy.set', { agentId: one, mode: 'allowlist' });
    await server.mutate(server.alice, 'egress.policy.set', { scope: 'user', add: [{ host: 'mine.example' }] });
    expect(await verdictOf(one, 'mine.example')).toBe('allow');
    const narrow = { scope: 'ceiling', userId, mode: 'allowlist', add: [{ host: 'listed.example', effect: 'permit' }] };
    expect((await server.mutate(server.alice, 'egress.policy.set', narrow)).error?.code).toBe('FORBIDDEN');
    await server.mutate(server.admin, 'egress.policy.set', narrow);
    expect(await verdictOf(one, 'mine.example')).toBe('deny');
    const own = await server.query(server.alice, 'egress.policy.get', { scope: 'ceiling', userId });
    expect(own.data).toMatchObject({ mode: 'allowlist', changedByName: 'root' });
    await server.mutate(server.admin, 'egress.policy.set', { scope: 'ceiling', userId, mode: null });
    expect(await verdictOf(one, 'mine.example')).toBe('allow');
  });

  test("somebody else's is told to nobody, and one of nobody is not made", async () => {
    const { userId } = server.alice.principal;
    for (const scope of ['user', 'ceiling']) {
      expect((await server.query(server.bob, 'egress.policy.get', { scope, userId })).error?.code).toBe('FORBIDDEN');
      const nobodys = { scope, userId: newUserId() };
      expect((await server.query(server.admin, 'egress.policy.get', nobodys)).error?.code).toBe('USER_NOT_FOUND');
    }
  });
});

describe('what waits for a decision', () => {
  test('is shown to the owner and to administrators, is an event, and is answered once', async () => {
    const asking = await newAgent('asking');
    await server.mutate(server.alice, 'egress.policy.set', { agentId: asking, mode: 'ask' });
    const signal = new AbortController().signal;
    const held = server.egressPolicy.decide(asking, { host: 'wanted.example', port: 443 }, signal);
    const { id: requestId } = await until('the question', () => server.egressPolicy.pending()[0]);
    for (const caller of [server.alice, server.admin]) {
      expect((await server.query(caller, 'egress.pending')).data).toMatchObject({
        items: [{ id: requestId, agentId: asking, host: 'wanted.example', ports: [443], waiting: 1 }],
      });
    }
    expect((await server.query(server.bob, 'egress.pending')).data).toEqual({ items: [] });
    const answered = await server.mutate(server.alice, 'egress.decide', { requestId, answer: 'agent', why: 'yes' });
    expect(answered.data).toEqual({ requestId, host: 'wanted.example', ports: [443] });
    expect((await held).verdict).toBe('allow');
    const late = await server.mutate(server.admin, 'egress.decide', { requestId, answer: 'deny' });
    expect([late.status, late.error?.code]).toEqual([404, 'EGRESS_REQUEST_NOT_FOUND']);
    const { data } = await server.query(server.alice, 'egress.policy.get', { agentId: asking });
    expect(data).toMatchObject({ rules: [{ host: 'wanted.example', ports: [443], why: 'yes', addedByName: 'alice' }] });
    const told = await until('both events', async () => {
      const { data: read } = await server.query(server.alice, 'events.read', { agentId: asking });
      const { events } = read as { events: { type: string }[] };
      const own = events.filter(({ type }) => type.startsWith('egress.'));
      return own.length === 2 && own;
    });
    expect(told).toMatchObject([
      { type: 'egress.requested', requestId, host: 'wanted.example', port: 443 },
      { type: 'egress.resolved', requestId, outcome: 'agent', by: server.alice.principal.userId },
    ]);
  });
});

test('presets are listed with their hosts', async () => {
  const { data } = await server.query(server.alice, 'egress.policy.presets');
  const { items } = data as { items: { name: string; hosts: unknown[] }[] };
  expect(items.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['npm', 'pypi', 'github', 'debian', 'crates', 'go']),
  );
  expect(items.every(({ hosts }) => hosts.length > 0)).toBe(true);
});
