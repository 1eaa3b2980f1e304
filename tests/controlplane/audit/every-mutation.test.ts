import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditRecord } from '../../../src/controlplane/audit/record.ts';
import { needs } from '../../../src/controlplane/auth/needs.ts';
import { type AccessFixture, ask, openAccess } from '../api/access-fixture.ts';
import { accessRows, idsOfNobody } from '../api/access-rows.ts';
import { procedureNeeds, procedureTypes } from '../procedure-types.ts';
import type { Caller } from '../running-server.ts';

let fixture: AccessFixture;
beforeAll(async () => void (fixture = await openAccess()));
afterAll(() => fixture[Symbol.asyncDispose]());

async function recordsOf(caller: Caller | null, action: string): Promise<AuditRecord[]> {
  const { server } = fixture;
  const filter = caller === null ? { action } : { action, userId: caller.principal.userId };
  const { items } = (await server.query(server.admin, 'audit.search', filter)).data as { items: AuditRecord[] };
  return items;
}

const rowOf = (path: string): (typeof accessRows)[string] => {
  const row = accessRows[path];
  if (row === undefined) throw new Error(`${path} has no row`);
  return row;
};
const paths = [...procedureTypes].filter(([, type]) => type === 'mutation').map(([path]) => path);

test.each(paths)('%s leaves exactly one record', async (path) => {
  const { server, makeThings } = fixture;
  const things = await makeThings();
  const { roles } = needs[procedureNeeds.get(path) ?? 'nothing'];
  const caller = await server.caller(`caller-of-${path}`, 'admin');
  expect(roles).toContain('admin');
  const { error } = await ask(server, caller, path, rowOf(path).input(things));
  const isPublic = procedureNeeds.get(path) === 'nothing';
  const records = await recordsOf(isPublic ? null : caller, path);
  const [record] = records;
  expect(records).toHaveLength(1);
  expect(record).toMatchObject({ action: path, outcome: error?.code ?? 'ok', count: 1, address: '127.0.0.1' });
  if (!isPublic) expect(record).toMatchObject({ userName: `caller-of-${path}`, keyId: caller.principal.keyId });
  const named = Object.values(rowOf(path).input(things)).filter((id) => Object.values(things).includes(id as string));
  expect(record?.targets).toEqual(expect.arrayContaining(named));
});

/** What anybody with a key may do to itself, whatever its input. */
const unrefused: ReadonlySet<string> = new Set(['sessions.revokeAll']);

test.each(paths.filter((path) => procedureNeeds.get(path) !== 'nothing' && !unrefused.has(path)))(
  '%s that is refused leaves one record, and no word of its input',
  async (path) => {
    const { server } = fixture;
    const caller = await server.caller(`auditor-of-${path}`, 'auditor');
    const { error } = await ask(server, caller, path, rowOf(path).input(idsOfNobody()));
    const [record, ...more] = await recordsOf(caller, path);
    expect(more).toEqual([]);
    expect(record).toMatchObject({
      outcome: error?.code ?? 'nothing refused it',
      userName: `auditor-of-${path}`,
      count: 1,
    });
    await ask(server, null, path, rowOf(path).input(idsOfNobody()));
  },
);

test('the chain of all that is whole, and nothing is still open', async () => {
  const { server } = fixture;
  const { data } = await server.query(server.admin, 'audit.verify');
  expect(data).toMatchObject({ broken: null });
  expect(await server.storage.audit.listOpen()).toEqual([]);
});
