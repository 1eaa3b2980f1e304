import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey, IdentityStore, Role, User } from '../../src/controlplane/auth/identity.ts';
import { newKeyId, newUserId } from '../../src/kernel/ids.ts';
import { now } from './store-records.ts';

const aUser = (name: string, role: Role = 'member'): User => ({
  id: newUserId(),
  name,
  role,
  createdAt: now,
  disabledAt: null,
});

const aKey = (user: User): ApiKey => ({
  id: newKeyId(),
  userId: user.id,
  name: 'laptop',
  prefix: 'csn_abcd',
  createdAt: now,
  lastUsedAt: null,
  revokedAt: null,
  scopes: null,
  agents: null,
  mayIssue: false,
  expiresAt: null,
});

/** What every `IdentityStore` does. Each test has an empty store. */
export function identityStoreContract(
  name: string,
  open: () => Promise<{ readonly store: IdentityStore; readonly close: () => Promise<void> }>,
): void {
  describe(`the identity store in ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>;
    let store: IdentityStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(async () => {
      await opened.close();
    });

    const stored = async (user: User): Promise<{ user: User; key: ApiKey }> => {
      const key = aKey(user);
      await store.insertUser(user);
      await store.insertKey(key, `hash of ${key.id}`);
      return { user, key };
    };

    test('a user is found by id and by name; a second of the name is the first', async () => {
      const ada = aUser('ada', 'admin');
      expect(await store.insertUser(ada)).toEqual(ada);
      expect(await store.insertUser(aUser('ada'))).toEqual(ada);
      expect(await store.findUser(ada.id)).toEqual(ada);
      expect(await store.findUserByName('ada')).toEqual(ada);
      expect(await store.findUserByName('Ada')).toBeUndefined();
      expect(await store.findUser(newUserId())).toBeUndefined();
    });

    test('of many who make one user at once, all get the same', async () => {
      const made = await Promise.all(Array.from({ length: 8 }, () => store.insertUser(aUser('ada'))));
      expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    });

    test('a key is found with its user by its id and by the hash of its secret, also when revoked', async () => {
      const { user, key } = await stored(aUser('ada'));
      expect(await store.findKey(key.id)).toEqual({ key, user });
      expect(await store.findKeyByHash(`hash of ${key.id}`)).toEqual({ key, user });
      expect(await store.findKeyByHash('another')).toBeUndefined();
      expect(await store.findKey(newKeyId())).toBeUndefined();
      await store.touchKey(key.id, now + 5);
      expect(await store.revokeKey(key.id, now + 9)).toBe('revoked');
      expect(await store.findKeyByHash(`hash of ${key.id}`)).toEqual({
        key: { ...key, lastUsedAt: now + 5, revokedAt: now + 9 },
        user,
      });
    });

    test('keys are listed of one user and of everyone, newest first', async () => {
      const one = await stored(aUser('ada'));
      const two = await stored(aUser('bob'));
      const three = { user: one.user, key: aKey(one.user) };
      await store.insertKey(three.key, 'third');
      expect(await store.listKeys(one.user.id)).toEqual([three, one]);
      expect(await store.listKeys(null)).toEqual([three, two, one]);
      expect(await store.listKeys(newUserId())).toEqual([]);
    });

    test('a user has a role for as long as it has a key that is not revoked', async () => {
      const { user, key } = await stored(aUser('ada'));
      const admin = await stored(aUser('eve', 'admin'));
      const other = aKey(user);
      await store.insertKey(other, 'other');
      await store.revokeKey(key.id, now);
      expect(await store.liveRole(user.id, now)).toBe('member');
      await store.revokeKey(other.id, now);
      expect(await store.liveRole(user.id, now)).toBeUndefined();
      expect(await store.liveRole(admin.user.id, now)).toBe('admin');
      expect(await store.liveRole(newUserId(), now)).toBeUndefined();
    });

    test('a secret belongs to one key', async () => {
      const { user } = await stored(aUser('ada'));
      await store.insertKey(aKey(user), 'same');
      await expect(store.insertKey(aKey(user), 'same')).rejects.toMatchObject({ code: 'INTERNAL' });
    });

    test('the last live key of an admin cannot be revoked, a revoked one stays so, an unknown one is KEY_NOT_FOUND', async () => {
      const one = await stored(aUser('ada', 'admin'));
      const two = await stored(aUser('eve', 'admin'));
      const member = await stored(aUser('bob'));
      expect(await store.revokeKey(member.key.id, now)).toBe('revoked');
      expect(await store.revokeKey(one.key.id, now)).toBe('revoked');
      expect(await store.revokeKey(one.key.id, now + 1)).toBe('already_revoked');
      expect(await store.revokeKey(two.key.id, now)).toBe('last_admin_key');
      expect((await store.findKey(two.key.id))?.key.revokedAt).toBeNull();
      expect((await store.findKey(one.key.id))?.key.revokedAt).toBe(now);
      await expect(store.revokeKey(newKeyId(), now)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    });

    test('admins who revoke each other at once leave one key', async () => {
      const admins = await Promise.all(['ada', 'eve', 'mia'].map((name) => stored(aUser(name, 'admin'))));
      const outcomes = await Promise.all(admins.map(({ key }) => store.revokeKey(key.id, now)));
      expect(outcomes.toSorted()).toEqual(['last_admin_key', 'revoked', 'revoked']);
    });
  });
}
