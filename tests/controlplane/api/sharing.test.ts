import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Caller, type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
});
afterAll(() => server[Symbol.asyncDispose]());

interface Listed {
  readonly items: readonly { readonly id: string; readonly name: string; readonly access: string }[];
  readonly nextCursor: string | null;
}

async function create(caller: Caller, name: string): Promise<string> {
  return ((await server.mutate(caller, 'agents.create', { name })).data as { id: string }).id;
}

test('agents that are shared stand among the own ones, the newest first, page by page, with what may be done', async () => {
  const mine = await create(server.bob, 'one');
  const viewed = await create(server.alice, 'two');
  const edited = await create(server.alice, 'three');
  await create(server.alice, 'hidden');
  const last = await create(server.bob, 'four');
  // In another order than they were made.
  await server.mutate(server.alice, 'agents.share', { agentId: edited, user: 'bob', role: 'editor' });
  await server.mutate(server.alice, 'agents.share', { agentId: viewed, user: 'bob', role: 'viewer' });
  const seen: string[] = [];
  for (let cursor: string | null = null; ;) {
    const { items, nextCursor } = (await server.query(server.bob, 'agents.list', { limit: 1, cursor })).data as Listed;
    seen.push(...items.map(({ id, access }) => `${id} ${access}`));
    if (nextCursor === null) break;
    cursor = nextCursor;
  }
  expect(seen).toEqual([`${last} own`, `${edited} use`, `${viewed} view`, `${mine} own`]);
  expect((await server.query(server.bob, 'system.sandboxes')).data).toMatchObject({ running: 4 });
  const scoped = await server.caller('bob', 'member', { scopes: ['view'] });
  expect((await server.query(scoped, 'agents.list')).data).toMatchObject({
    items: Array.from({ length: 4 }, () => ({ access: 'view' })),
  });
});

test('sharing again changes what it is shared as, and keeps the order', async () => {
  const agentId = await create(server.alice, 'again');
  const share = (user: string, role: string) => server.mutate(server.alice, 'agents.share', { agentId, user, role });
  await share('bob', 'viewer');
  await share('root', 'viewer');
  expect((await share('bob', 'editor')).data).toMatchObject({ user: { name: 'bob' }, role: 'editor' });
  expect((await server.query(server.bob, 'agents.shares', { agentId })).data).toMatchObject({
    items: [
      { user: { name: 'bob' }, role: 'editor', createdBy: server.alice.principal.userId },
      { user: { name: 'root' }, role: 'viewer' },
    ],
  });
});

test.each([
  ['nobody', 'USER_NOT_FOUND', 404],
  ['alice', 'BAD_REQUEST', 400],
])('an agent is not shared with %s', async (user, code, status) => {
  const agentId = await create(server.alice, `not-with-${user}`);
  const refused = await server.mutate(server.alice, 'agents.share', { agentId, user, role: 'viewer' });
  expect([refused.status, refused.error?.code]).toEqual([status, code]);
});

test('an agent is shared with 100 users at most', async () => {
  const agentId = await create(server.alice, 'popular');
  for (let user = 0; user < 101; user++) await server.caller(`fan-${user}`, 'member');
  const share = (user: number) =>
    server.mutate(server.alice, 'agents.share', { agentId, user: `fan-${user}`, role: 'viewer' });
  const shared = await Promise.all(Array.from({ length: 101 }, (_, user) => share(user)));
  const refused = shared.filter(({ status }) => status !== 200);
  expect(refused).toMatchObject([{ status: 429, error: { code: 'LIMIT_REACHED', details: { limit: 100 } } }]);
});
