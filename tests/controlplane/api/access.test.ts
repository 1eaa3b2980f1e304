import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Standing, standings, type Verdict, verdictOf } from '../../../scripts/docs/verdicts.ts';
import { type Need, type Scope, scopes } from '../../../src/controlplane/auth/needs.ts';
import { agentIdSchema, newAgentId } from '../../../src/kernel/ids.ts';
import { keylessPaths } from '../../../src/controlplane/http/trpc-route.ts';
import { procedureNeeds, procedureTypes } from '../procedure-types.ts';
import { type AccessFixture, ask, openAccess, type Outcome } from './access-fixture.ts';
import { accessRows, type Ids, idsOfNobody, type Row } from './access-rows.ts';

let fixture: AccessFixture;
/** Of the owner. Nobody here may change them. */
let theirs: Ids;
beforeAll(async () => {
  fixture = await openAccess();
  theirs = await fixture.makeThings();
});
afterAll(() => fixture[Symbol.asyncDispose]());

const who = Object.keys(standings) as Standing[];

/** The whole of what may be done, by hand: what `needs.ts` makes of it must be this. */
test.each<[Need, Record<Standing, Verdict>]>([
  ['nothing', all('yes')],
  ['self', all('yes')],
  ['list', { ...all('yes'), auditor: 'FORBIDDEN' }],
  ['view', { ...all('yes'), stranger: 'NOT_FOUND', auditor: 'FORBIDDEN' }],
  ['use', { ...all('yes'), viewer: 'FORBIDDEN', stranger: 'NOT_FOUND', auditor: 'FORBIDDEN' }],
  ['own', { ...all('FORBIDDEN'), admin: 'yes', owner: 'yes', stranger: 'NOT_FOUND' }],
  ['create', { ...all('yes'), auditor: 'FORBIDDEN' }],
  ['oversee', { ...all('FORBIDDEN'), admin: 'yes', auditor: 'yes' }],
  ['administer', { ...all('FORBIDDEN'), admin: 'yes' }],
  ['appoint', { ...all('FORBIDDEN'), admin: 'yes' }],
])('what needs "%s" is for whom it is meant for', (need, expected) => {
  expect(Object.fromEntries(who.map((standing) => [standing, verdictOf(need, standing)]))).toEqual(expected);
});

function all(verdict: Verdict): Record<Standing, Verdict> {
  return {
    admin: verdict,
    owner: verdict,
    editor: verdict,
    viewer: verdict,
    stranger: verdict,
    auditor: verdict,
  };
}

test('every procedure says what it needs, and has a row', () => {
  const paths = [...procedureTypes.keys()].toSorted();
  expect(paths.filter((path) => procedureNeeds.get(path) === undefined)).toEqual([]);
  expect(Object.keys(accessRows).toSorted()).toEqual(paths);
});

test('a body is read without a key only of what needs none, and only where it is small', async () => {
  const keyless = [...procedureNeeds].filter(([, need]) => need === 'nothing').map(([path]) => path);
  expect([...keylessPaths].toSorted()).toEqual(keyless.toSorted());
  const large = await fixture.server.mutate(null, 'users.accept', { invitation: 'x'.repeat(4_096) });
  expect([large.status, large.error?.code]).toEqual([401, 'UNAUTHORIZED']);
  const batch = await fixture.server.mutate(null, 'users.accept,agents.create?batch=1', {});
  expect([batch.status, batch.error?.code]).toEqual([401, 'UNAUTHORIZED']);
});

/** Where a list of one's own decides, and not a standing. */
const exceptions: Readonly<Record<string, Partial<Record<Standing, Verdict>>>> = {
  // Of a key that is of none of them. Auditors may see it.
  'keys.revoke': { ...all('NOT_FOUND'), admin: 'yes', auditor: 'FORBIDDEN' },
  // It says that there was nothing to delete.
  'agents.delete': { stranger: 'yes' },
  // Numbers, of everyone.
  'usage.totals': { auditor: 'yes' },
  'egress.usage': { auditor: 'yes' },
};

const noRow: Row = { input: () => ({}) };
/** What is asked there about an agent, by procedures that can be asked about more. */
const asked: Readonly<Record<string, Need>> = {
  'quotas.get': 'view',
  'quotas.set': 'own',
  'usage.totals': 'view',
  'egress.policy.get': 'view',
  'egress.policy.set': 'own',
  'egress.pending': 'view',
  'egress.usage': 'view',
};
const rows = [...procedureNeeds].map(([path, need]) => ({
  path,
  need: asked[path] ?? need,
  row: accessRows[path] ?? noRow,
}));
const cells = rows.flatMap(({ path, need, row }) =>
  who.map((standing) => ({
    path,
    standing,
    row,
    verdict: exceptions[path]?.[standing] ?? verdictOf(need, standing),
  })),
);

describe('the matrix', () => {
  test.each(cells)('$path by $standing: $verdict', async ({ path, standing, row, verdict }) => {
    const { server, callers, makeThings } = fixture;
    const things = verdict === 'yes' ? await makeThings() : theirs;
    const outcome = await ask(server, callers[standing], path, row.input(things));
    if (verdict === 'FORBIDDEN') expect(outcome).toMatchObject({ status: 403, error: { code: 'FORBIDDEN' } });
    else if (verdict === 'NOT_FOUND') expect(outcome.status).toBe(404);
    else expect(outcome.error?.code).toBe(endOf(row, standing));
  });

  test('what was refused has changed nothing', async () => {
    const { server, callers } = fixture;
    const { agentId, runId, permissionId, egressRequestId, keyId, userId } = theirs;
    const { data } = await server.query(callers.owner, 'agents.status', { agentId });
    expect(data).toMatchObject({
      agent: { deleting: false },
      conversations: [{ status: 'open', mode: null }],
      activeRuns: [{ id: runId, state: 'awaiting_permission', cancelRequested: false }],
      pendingPermissions: [{ id: permissionId }],
    });
    const shares = await server.query(callers.owner, 'agents.shares', { agentId });
    expect(shares.data).toMatchObject({ items: [{ user: { name: 'editor' } }, { user: { name: 'viewer' } }] });
    const policy = await server.query(callers.owner, 'egress.policy.get', { agentId });
    expect(policy.data).toMatchObject({ mode: 'ask', version: 1 });
    expect(server.egressPolicy.pending().map(({ id }) => id)).toContain(egressRequestId);
    const previews = await server.query(callers.owner, 'previews.list', { agentId });
    expect(previews.data).toMatchObject({ items: [{ state: 'active' }] });
    expect((await server.query(callers.admin, 'users.get', { userId })).data).toMatchObject({ state: 'active' });
    const { items } = (await server.query(callers.admin, 'keys.list')).data as { items: { id: string }[] };
    expect(items.find(({ id }) => id === keyId)).toMatchObject({ revokedAt: null });
  });
});

/** How it ends for one who may: well, but for what needs a sandbox with an inside. */
function endOf({ inside, endsWith }: Row, standing: Standing): string | undefined {
  if (inside === undefined) return endsWith;
  return inside === 'open' && standing !== 'viewer' ? 'SANDBOX_START_FAILED' : 'SANDBOX_NOT_RUNNING';
}

const hidden = rows.flatMap(({ path, row }) => (row.notFound === undefined ? [] : [{ path, row, code: row.notFound }]));

describe.each(hidden)('$path', ({ path, row, code }) => {
  const askAs = async (standing: Standing | null, ids: Ids): Promise<Outcome> =>
    await ask(fixture.server, standing && fixture.callers[standing], path, row.input(ids));

  test("someone else's id reads as one that never was", async () => {
    const nobodys = idsOfNobody();
    const hers = await askAs('stranger', theirs);
    expect(hers).toMatchObject({ status: 404, error: { code } });
    const forget = (ids: Ids, { status, error }: Outcome): unknown =>
      JSON.parse(
        Object.values(ids).reduce<string>(
          (text, id) => text.replaceAll(String(id), '<id>'),
          JSON.stringify({ status, error }),
        ),
      );
    expect(forget(theirs, hers)).toEqual(forget(nobodys, await askAs('stranger', nobodys)));
  });

  test('without a key nothing is told', async () => {
    expect(await askAs(null, theirs)).toMatchObject({ status: 401, error: { code: 'UNAUTHORIZED' } });
  });

  test('an id of another kind is bad input', async () => {
    const swapped: Ids = {
      agentId: theirs.runId,
      conversationId: theirs.agentId,
      runId: theirs.keyId,
      permissionId: 'x',
      keyId: `${theirs.keyId}0`,
      previewId: theirs.agentId,
      egressRequestId: theirs.agentId,
      userId: theirs.keyId,
    };
    expect(await askAs('owner', swapped)).toMatchObject({ status: 400, error: { code: 'BAD_REQUEST' } });
  });
});

test.each(rows.filter(({ need }) => need !== 'nothing'))('$path without a key is refused', async ({ path, row }) => {
  expect(await ask(fixture.server, null, path, row.input(theirs))).toMatchObject({ status: 401 });
});

describe('a narrowed key of the owner', () => {
  /** What each scope lets through: by hand, as above. */
  const passing: Readonly<Record<Scope, readonly Need[]>> = {
    view: ['nothing', 'self', 'list', 'view'],
    use: ['nothing', 'self', 'list', 'view', 'use'],
    own: ['nothing', 'self', 'list', 'view', 'use', 'own', 'create'],
    oversee: ['nothing', 'self'],
    administer: ['nothing', 'self'],
  };
  const byScope = rows.flatMap(({ path, need, row }) =>
    scopes.map((scope) => ({ path, need, row, scope, passes: passing[scope].includes(need) })),
  );

  test.each(byScope.filter(({ passes }) => !passes))('of scope $scope cannot $path', async ({ path, row, scope }) => {
    const caller = await fixture.server.caller('owner', 'member', { scopes: [scope] });
    const outcome = await ask(fixture.server, caller, path, row.input(theirs));
    expect(outcome).toMatchObject({ status: 403, error: { code: 'FORBIDDEN' } });
  });

  test.each(byScope.filter(({ passes, path }) => passes && path !== 'keys.revoke'))(
    'of scope $scope can $path',
    async ({ path, row, scope }) => {
      const caller = await fixture.server.caller('owner', 'member', { scopes: [scope] });
      const outcome = await ask(fixture.server, caller, path, row.input(await fixture.makeThings()));
      // Who may only look starts no sandbox.
      expect(outcome.error?.code).toBe(endOf(row, scope === 'view' ? 'viewer' : 'owner'));
    },
  );

  test.each(hidden)('for another agent does not see $path', async ({ path, row, code }) => {
    const { agentId } = await fixture.makeThings();
    const caller = await fixture.server.caller('owner', 'member', { agents: [agentIdSchema.parse(agentId)] });
    const outcome = await ask(fixture.server, caller, path, row.input(theirs));
    expect(outcome).toMatchObject({ status: 404, error: { code } });
  });

  test.each(hidden)('for this agent can $path', async ({ path, row }) => {
    const things = await fixture.makeThings();
    const caller = await fixture.server.caller('owner', 'member', { agents: [agentIdSchema.parse(things.agentId)] });
    const outcome = await ask(fixture.server, caller, path, row.input(things));
    expect(outcome.error?.code).toBe(endOf(row, 'owner'));
  });

  test('for named agents lists these, makes none, and manages no other key', async () => {
    const { agentId } = await fixture.makeThings();
    const { server } = fixture;
    const agents = [agentIdSchema.parse(agentId), newAgentId(), agentIdSchema.parse(theirs.agentId)];
    const caller = await server.caller('owner', 'member', { agents });
    const first = await server.query(caller, 'agents.list', { limit: 1 });
    const { items, nextCursor } = first.data as { items: { id: string }[]; nextCursor: string };
    const second = await server.query(caller, 'agents.list', { limit: 1, cursor: nextCursor });
    expect(items.map(({ id }) => id)).toEqual([agentId]);
    expect(second.data).toMatchObject({ items: [{ id: theirs.agentId }], nextCursor: null });
    const byName = await server.query(caller, 'agents.get', { name: 'theirs-1' });
    expect(byName.data).toMatchObject({ id: theirs.agentId });
    const other = await server.caller('owner', 'member', { agents: [newAgentId()] });
    expect((await server.query(other, 'agents.get', { name: 'theirs-1' })).error?.code).toBe('AGENT_NOT_FOUND');
    const permissions = await server.query(caller, 'permissions.list');
    expect(permissions.data).toMatchObject({ items: [{ agentId: theirs.agentId }, { agentId }] });
    expect((await server.mutate(caller, 'agents.create', { name: 'x' })).error?.code).toBe('FORBIDDEN');
    const keys = await server.query(caller, 'keys.list');
    expect(keys.data).toMatchObject({ items: [{ id: caller.principal.keyId }] });
    const { keyId } = fixture.callers.owner.principal;
    expect((await server.mutate(caller, 'keys.revoke', { keyId })).error?.code).toBe('KEY_NOT_FOUND');
  });

  test('of an administrator does not name agents that are not there', async () => {
    const { server } = fixture;
    const caller = await server.caller('root', 'admin', { agents: [newAgentId()] });
    expect((await server.query(caller, 'agents.list')).data).toEqual({ items: [], nextCursor: null });
    expect((await server.query(caller, 'permissions.list')).data).toEqual({ items: [], nextCursor: null });
    expect((await server.query(caller, 'users.list')).error?.code).toBe('FORBIDDEN');
  });
});
