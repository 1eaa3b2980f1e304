import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

describe('keys', () => {
  test('only administrators make keys', async () => {
    const refused = await server.mutate(server.bob, 'keys.create', { user: 'bob', role: 'admin', name: 'x' });
    expect([refused.status, refused.error?.code]).toEqual([403, 'FORBIDDEN']);
  });

  test('a new key works, is shown once, and is refused from the moment of its revocation', async () => {
    const made = await server.mutate(server.admin, 'keys.create', { user: 'carol', name: 'laptop' });
    const { key, secret } = made.data as { key: { id: string }; secret: string };
    expect(key).toMatchObject({ name: 'laptop', prefix: secret.slice(0, 9), user: { name: 'carol', role: 'member' } });
    const carol = { secret, principal: server.bob.principal };
    expect((await server.query(carol, 'system.version')).status).toBe(200);
    const listed = await server.query(carol, 'keys.list');
    expect(listed.data).toMatchObject({ items: [{ id: key.id, lastUsedAt: expect.any(Number) }] });
    expect(listed.text).not.toContain(secret);
    expect((await server.mutate(carol, 'keys.revoke', { keyId: key.id })).data).toMatchObject({
      revokedAt: expect.any(Number),
    });
    const refused = await server.query(carol, 'system.version');
    expect([refused.status, refused.error?.code]).toEqual([401, 'UNAUTHORIZED']);
  });

  test('a user keeps its role', async () => {
    const refused = await server.mutate(server.admin, 'keys.create', { user: 'alice', role: 'admin', name: 'x' });
    expect([refused.status, refused.error?.code]).toEqual([409, 'NAME_TAKEN']);
  });

  test('for a user that must be there none is made, and its role need not be known', async () => {
    const ofExisting = { user: 'dora', newUser: false, name: 'x' };
    const refused = await server.mutate(server.admin, 'keys.create', ofExisting);
    expect([refused.status, refused.error?.code]).toEqual([404, 'USER_NOT_FOUND']);
    const { data: users } = await server.query(server.admin, 'users.list');
    expect(JSON.stringify(users)).not.toContain('dora');
    await server.mutate(server.admin, 'keys.create', { user: 'dora', role: 'auditor', name: 'first' });
    const made = await server.mutate(server.admin, 'keys.create', ofExisting);
    expect(made.data).toMatchObject({ key: { user: { name: 'dora', role: 'auditor' } } });
    const wrong = await server.mutate(server.admin, 'keys.create', { ...ofExisting, role: 'member' });
    expect([wrong.status, wrong.error?.code]).toEqual([409, 'NAME_TAKEN']);
  });

  test('the last key of an administrator stays', async () => {
    const refused = await server.mutate(server.admin, 'keys.revoke', { keyId: server.admin.principal.keyId });
    expect([refused.status, refused.error?.code]).toEqual([412, 'LAST_ADMIN_KEY']);
    expect((await server.query(server.admin, 'system.version')).status).toBe(200);
  });
});
