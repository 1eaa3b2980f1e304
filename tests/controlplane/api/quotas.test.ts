import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { userAccount } from '../../../src/controlplane/quotas/account.ts';
import type { AgentId, ConversationId } from '../../../src/kernel/ids.ts';
import { newUserId } from '../../../src/kernel/ids.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { signedIn } from '../login/people.ts';
import { type Answer, bearer, type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ limits: { agents: 20, requests: 1_000 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface Line {
  readonly dimension: string;
  readonly limit: number | null;
  readonly source: string;
  readonly used: number | null;
  readonly resetsAt: number | null;
}
const lineOf = (answer: Answer, dimension: string): Line | undefined =>
  (answer.data as { quotas: Line[] }).quotas.find((line) => line.dimension === dimension);
const versionOf = (answer: Answer): number => (answer.data as { version: number }).version;

const ofBob = { user: 'bob' };

/** As an administrator, as of the present version. */
async function setBob(change: object): Promise<Answer> {
  const before = await server.query(server.admin, 'quotas.get', { of: ofBob });
  return await server.mutate(server.admin, 'quotas.set', { of: ofBob, version: versionOf(before), ...change });
}

test('everyone sees what they may use and have used', async () => {
  await server.mutate(server.alice, 'agents.create', { name: 'one' });
  const { ledger } = server.quotas;
  const charge = { account: userAccount(server.alice.principal.userId), dimension: 'tokens', amount: 12 } as const;
  await (await ledger.reserve([charge], { expiresInMs: 1_000 })).settle([charge]);
  const mine = await server.query(server.alice, 'usage.me');
  expect(mine.data).toMatchObject({ holder: { kind: 'user', name: 'alice' }, plan: null, timeZone: 'UTC', version: 0 });
  expect(lineOf(mine, 'agents')).toMatchObject({ limit: 20, source: 'default', used: 1, resetsAt: null });
  expect(lineOf(mine, 'running_sandboxes')).toMatchObject({ limit: null, used: 1 });
  expect(lineOf(mine, 'cpu')).toMatchObject({ used: 2 });
  expect(lineOf(mine, 'requests')).toMatchObject({ limit: 1_000, used: null });
  const { resetsAt, ...tokens } = lineOf(mine, 'tokens') ?? {};
  expect(tokens).toMatchObject({ limit: null, used: 12, source: 'default' });
  expect(new Date(resetsAt ?? 0).toISOString()).toMatch(/T00:00:00.000Z$/);
  expect((await server.query(server.alice, 'quotas.get')).data).toEqual(mine.data);
});

describe('users', () => {
  test('someone else does not exist for a member', async () => {
    for (const of of [{ user: 'bob' }, { userId: server.bob.principal.userId }, { userId: newUserId() }]) {
      expect((await server.query(server.alice, 'quotas.get', { of })).error).toMatchObject({ code: 'USER_NOT_FOUND' });
      const set = await server.mutate(server.alice, 'quotas.set', { of, version: 0, limits: { agents: 1 } });
      expect(set.error).toMatchObject({ code: 'USER_NOT_FOUND' });
    }
  });

  test('a member does not change its own', async () => {
    const of = { user: 'alice' };
    const refused = await server.mutate(server.alice, 'quotas.set', { of, version: 0, limits: { agents: null } });
    expect([refused.status, refused.error?.code]).toEqual([403, 'FORBIDDEN']);
  });

  test('a limit holds from the moment at which it is set, and is taken back', async () => {
    expect((await server.mutate(server.bob, 'agents.create', { name: 'first' })).status).toBe(200);
    expect(lineOf(await setBob({ limits: { agents: 1 } }), 'agents')).toMatchObject({
      limit: 1,
      source: 'own',
      used: 1,
    });
    const refused = await server.mutate(server.bob, 'agents.create', { name: 'second' });
    expect(refused.status).toBe(429);
    expect(refused.error).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { dimension: 'agents', of: 'user', limit: 1, used: 1, asked: 1, resetsAt: null },
    });
    expect(lineOf(await setBob({ limits: { agents: 'default' } }), 'agents')).toMatchObject({ limit: 20 });
    expect((await server.mutate(server.bob, 'agents.create', { name: 'second' })).status).toBe(200);
  });

  test('of two administrators who change one quota at a time the second is told', async () => {
    const read = await server.query(server.admin, 'quotas.get', { of: ofBob });
    const version = versionOf(read);
    const set = (tokens: number) =>
      server.mutate(server.admin, 'quotas.set', { of: ofBob, version, limits: { tokens } });
    const answers = await Promise.all([set(1), set(2)]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]));
    const refused = answers.find(({ status }) => status === 409);
    expect(refused?.error).toMatchObject({ code: 'QUOTA_CONFLICT', details: { version: version + 1 } });
    const present = await server.query(server.admin, 'quotas.get', { of: ofBob });
    const won = answers.find(({ status }) => status === 200);
    expect(lineOf(present, 'tokens')).toEqual(won && lineOf(won, 'tokens'));
    await setBob({ limits: { tokens: 'default' } });
  });

  test('the days of a user are those of its time zone', async () => {
    expect((await setBob({ timeZone: 'Mars/Olympus' })).error).toMatchObject({ code: 'BAD_REQUEST' });
    const set = await setBob({ timeZone: 'Asia/Kolkata' });
    expect(set.data).toMatchObject({ timeZone: 'Asia/Kolkata' });
    expect(new Date(lineOf(set, 'tokens')?.resetsAt ?? 0).toISOString()).toMatch(/T18:30:00.000Z$/);
    expect((await setBob({ timeZone: null })).data).toMatchObject({ timeZone: 'UTC' });
  });

  test.each([{ agents: -1 }, { agents: 1.5 }, { tokens: '5' }, { fame: 1 }, { cpu: -1 }])(
    '%j is no limit',
    async (limits) => {
      expect((await setBob({ limits })).error).toMatchObject({ code: 'BAD_REQUEST' });
    },
  );
});

describe('plans', () => {
  test('are for administrators', async () => {
    for (const refused of [
      await server.query(server.alice, 'quotas.plans'),
      await server.mutate(server.alice, 'quotas.setPlan', { name: 'mine', version: 0, limits: {} }),
      await server.mutate(server.alice, 'quotas.removePlan', { name: 'mine', version: 1 }),
    ]) {
      expect([refused.status, refused.error?.code]).toEqual([403, 'FORBIDDEN']);
    }
  });

  test('a plan holds for its users, before the default and behind what is said of them', async () => {
    expect((await setBob({ plan: 'team' })).error).toMatchObject({ code: 'PLAN_NOT_FOUND' });
    const setPlan = async (change: object) =>
      await server.mutate(server.admin, 'quotas.setPlan', { name: 'team', ...change });
    const made = await setPlan({ version: 0, limits: { tokens: 500, agents: 7 } });
    expect(made.data).toEqual({ name: 'team', limits: { tokens: 500, agents: 7 }, version: 1 });
    const bobs = await setBob({ plan: 'team', limits: { agents: 9 } });
    expect(lineOf(bobs, 'tokens')).toMatchObject({ limit: 500, source: 'plan' });
    expect(lineOf(bobs, 'agents')).toMatchObject({ limit: 9, source: 'own' });
    expect(lineOf(bobs, 'requests')).toMatchObject({ limit: 1_000, source: 'default' });
    expect((await setPlan({ version: 0, limits: {} })).error).toMatchObject({
      code: 'QUOTA_CONFLICT',
      details: { version: 1 },
    });
    await setPlan({ version: 1, limits: { tokens: null, agents: 'default' } });
    expect(lineOf(await server.query(server.bob, 'usage.me'), 'tokens')).toMatchObject({ limit: null, source: 'plan' });
    expect((await server.query(server.admin, 'quotas.plans')).data).toEqual({
      items: [{ name: 'team', limits: { tokens: null }, version: 2 }],
    });
    const remove = async (version: number) =>
      await server.mutate(server.admin, 'quotas.removePlan', { name: 'team', version });
    expect((await remove(2)).error).toMatchObject({ code: 'PLAN_IN_USE' });
    await setBob({ plan: null, limits: { agents: 'default' } });
    expect((await remove(1)).error).toMatchObject({ code: 'QUOTA_CONFLICT' });
    expect((await remove(2)).data).toEqual({ name: 'team' });
    expect((await remove(2)).error).toMatchObject({ code: 'PLAN_NOT_FOUND' });
  });

  test('the plan called default is that of users without one', async () => {
    const made = await server.mutate(server.admin, 'quotas.setPlan', {
      name: 'default',
      version: 0,
      limits: { cost: 9 },
    });
    expect(made.status).toBe(200);
    expect(lineOf(await server.query(server.alice, 'usage.me'), 'cost')).toMatchObject({ limit: 9, source: 'plan' });
    await server.mutate(server.admin, 'quotas.removePlan', { name: 'default', version: 1 });
    expect(lineOf(await server.query(server.alice, 'usage.me'), 'cost')).toMatchObject({ limit: null });
  });
});

describe('budgets', () => {
  test('an owner gives an agent and a conversation budgets, which end its turns', async () => {
    const made = await server.mutate(server.alice, 'agents.create', { name: 'thrifty' });
    const { id: agentId } = made.data as { id: AgentId };
    const opened = await server.mutate(server.alice, 'conversations.open', { agentId });
    const { id: conversationId } = opened.data as { id: ConversationId };
    const start = async () =>
      await server.mutate(server.alice, 'runs.start', { conversationId, message: 'hello', idempotencyKey: 'same' });
    const accepted = await start();
    expect(accepted.status).toBe(200);
    const set = await server.mutate(server.alice, 'quotas.set', {
      of: { conversationId },
      version: 0,
      limits: { tokens: 10 },
    });
    expect(set.data).toMatchObject({ holder: { kind: 'conversation', id: conversationId }, version: 1 });
    expect(lineOf(set, 'tokens')).toMatchObject({ limit: 10, resetsAt: null });
    expect(lineOf(set, 'agents')).toBe(undefined);
    const charge = { account: `conversation:${conversationId}`, dimension: 'tokens', amount: 10 } as const;
    await (await server.quotas.ledger.reserve([charge], { expiresInMs: 1_000 })).settle([charge]);
    // What was accepted before is told again.
    expect((await start()).data).toEqual(accepted.data);
    const refused = await server.mutate(server.alice, 'runs.start', { conversationId, message: 'and now?' });
    expect(refused.error).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { dimension: 'tokens', of: 'conversation', limit: 10, used: 10 },
    });
  });

  test('of an agent only what is metered can be limited', async () => {
    const made = await server.mutate(server.alice, 'agents.create', { name: 'limited' });
    const { id: agentId } = made.data as { id: AgentId };
    const set = async (change: object) =>
      await server.mutate(server.alice, 'quotas.set', { of: { agentId }, version: 0, ...change });
    for (const change of [{ limits: { agents: 1 } }, { plan: 'team' }, { timeZone: 'Europe/Berlin' }]) {
      expect((await set(change)).error).toMatchObject({ code: 'BAD_REQUEST' });
    }
    expect((await set({ limits: { egress_bytes: 5 } })).status).toBe(200);
    await server.mutate(server.alice, 'agents.delete', { agentId });
    await expect(server.storage.quotas.findPolicy(`agent:${agentId}`)).resolves.toBe(undefined);
  });
});

test('who calls too often is told when to come again, by key and by user', async () => {
  await using limited = await startServer({ limits: { requests: 30 }, requestsPerKey: 20 });
  const { alice, bob, url } = limited;
  const call = async (caller = alice) => await fetch(`${url}/trpc/system.version`, { headers: bearer(caller) });
  for (let each = 0; each < 20; each++) expect((await call()).status).toBe(200);
  const refused = await call();
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({
    error: { data: { caisson: { code: 'RATE_LIMITED', retryable: true, details: { of: 'key', limit: 20 } } } },
  });
  expect((await call(bob)).status).toBe(200);

  const made = await limited.keys.issue({ user: 'alice', role: 'member', name: 'second' });
  const second = { ...alice, secret: made.secret };
  for (let each = 0; each < 10; each++) expect((await call(second)).status).toBe(200);
  const ofUser = await call(second);
  expect(ofUser.status).toBe(429);
  expect(await ofUser.json()).toMatchObject({ error: { data: { caisson: { details: { of: 'user', limit: 30 } } } } });

  // Each call of a batch counts, and the other ways in count too.
  const batch = `${url}/trpc/${Array.from({ length: 20 }, () => 'system.version').join(',')}?batch=1&input={}`;
  expect((await fetch(batch, { headers: bearer(bob) })).status).toBe(429);
  for (const [method, path] of [
    ['GET', '/v1/agents/x/file?path=a'],
    ['HEAD', '/v1/agents/x/file?path=a'],
    ['PUT', '/v1/agents/x/file?path=a'],
    ['GET', '/v1/agents/x/archive?path=a'],
    ['PUT', '/v1/agents/x/archive?path=a'],
    ['GET', '/metrics'],
  ] as const) {
    const body = method === 'PUT' ? 'x' : null;
    const answer = await fetch(`${url}${path}`, { method, body, headers: bearer(alice) });
    expect([method, path, answer.status, answer.headers.has('retry-after')]).toEqual([method, path, 429, true]);
  }
});

test('who calls too often is called what it came with', async () => {
  const clock = new HandClock(); // stands still: nobody is given room meanwhile
  await using limited = await startServer({ clock, limits: { requests: 30 }, requestsPerKey: 10 });
  const tooMany = (of: string): unknown => ({ code: 'RATE_LIMITED', details: expect.objectContaining({ of }) });
  const untilRefused = async (call: () => Promise<string>): Promise<unknown> => {
    for (let each = 0; each < 10; each++) expect(await call()).not.toContain('RATE_LIMITED');
    const { error } = JSON.parse(await call()) as { error: { message: string; data: { caisson: unknown } } };
    return [error.message, error.data.caisson];
  };
  const ida = await signedIn(limited, { name: 'ida' });
  expect(await untilRefused(async () => (await ida.call('sessions.list')).text)).toEqual([
    'This session may send 10 requests a minute.',
    expect.objectContaining(tooMany('session')),
  ]);
  expect(await untilRefused(async () => (await limited.query(limited.alice, 'sessions.list')).text)).toEqual([
    'This API key may send 10 requests a minute.',
    expect.objectContaining(tooMany('key')),
  ]);
  for (const name of ['second', 'third']) {
    const { secret } = await limited.keys.issue({ user: 'alice', name });
    for (let each = 0; each < 10; each++) await limited.query({ ...limited.alice, secret }, 'sessions.list');
  }
  const { secret } = await limited.keys.issue({ user: 'alice', name: 'fourth' });
  const ofUser = await limited.query({ ...limited.alice, secret }, 'sessions.list');
  expect(ofUser.text).toContain('This user, with all keys and sessions, may send 30 requests a minute.');
});

test('an administrator who has left nobody a request can take that back', async () => {
  await using limited = await startServer({ clock: new HandClock(), limits: { requests: 0 } });
  const of = { userId: limited.admin.principal.userId };
  expect((await limited.query(limited.alice, 'quotas.get')).error?.code).toBe('RATE_LIMITED');
  for (let version = 0; version < 5; version++) {
    const change = { of, version, limits: { requests: version % 2 } };
    expect((await limited.mutate(limited.admin, 'quotas.set', change)).status).toBe(200);
  }
  // The clock stands still: they are limited, too.
  const batch = `${limited.url}/trpc/${Array.from({ length: 50 }, () => 'system.version').join(',')}?batch=1&input={}`;
  const ask = async (): Promise<number> => (await fetch(batch, { headers: bearer(limited.admin) })).status;
  expect([await ask(), await ask()]).toEqual([200, 429]);
});
