import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey, IdentityStore, Role, User } from '../../src/controlplane/auth/identity.ts';
import { newAgentId, newKeyId, newUserId } from '../../src/kernel/ids.ts';
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
  signedInBy: null,
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
      await store.revokeKey(one.key.id, now);
      expect(await store.listLiveKeyIds(one.user.id)).toEqual([three.key.id]);
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

    test('a key that is narrowed or expires is no way back for administrators', async () => {
      const { user, key } = await stored(aUser('ada', 'admin'));
      const narrow: Partial<ApiKey>[] = [{ scopes: ['view'] }, { agents: [newAgentId()] }, { expiresAt: now + 1 }];
      for (const limits of narrow) {
        const other = { ...aKey(user), ...limits };
        await store.insertKey(other, other.id);
        expect(await store.findKey(other.id)).toEqual({ key: other, user });
      }
      expect(await store.revokeKey(key.id, now)).toBe('last_admin_key');
      expect(await store.disableUser(user.id, now)).toBe('last_admin');
      expect(await store.findUser(user.id)).toEqual(user);
    });

    test('a user whose only key has expired has no role', async () => {
      const user = aUser('ada');
      await store.insertUser(user);
      await store.insertKey({ ...aKey(user), expiresAt: now + 10 }, 'x');
      expect(await store.liveRole(user.id, now + 9)).toBe('member');
      expect(await store.liveRole(user.id, now + 10)).toBeUndefined();
    });

    test('a disabled user has no live key, no role and no invitation, until it is enabled and has another', async () => {
      const { user, key } = await stored(aUser('ada'));
      const other = aKey(user);
      await store.insertKey(other, 'other');
      await store.putInvitation({ userId: user.id, isReset: false, createdAt: now, expiresAt: now + 10 }, 'i');
      const ended = await store.disableUser(user.id, now + 1);
      expect(new Set(ended)).toEqual(new Set([key.id, other.id]));
      expect(await store.findUser(user.id)).toEqual({ ...user, disabledAt: now + 1 });
      expect(await store.disableUser(user.id, now + 2)).toEqual([]);
      expect(await store.findUser(user.id)).toEqual({ ...user, disabledAt: now + 1 });
      expect(await store.listInvitations()).toEqual([]);
      await store.insertKey(aKey(user), 'third');
      expect(await store.liveRole(user.id, now)).toBeUndefined();
      await store.enableUser(user.id);
      expect(await store.liveRole(user.id, now)).toBe('member');
    });

    test('administrators who disable each other at once leave one', async () => {
      const admins = await Promise.all(['ada', 'eve', 'mia'].map((name) => stored(aUser(name, 'admin'))));
      const outcomes = await Promise.all(admins.map(({ user }) => store.disableUser(user.id, now)));
      expect(outcomes.filter((outcome) => outcome === 'last_admin')).toHaveLength(1);
    });

    test('a deleted user is gone with its keys, and its name is free', async () => {
      const { user, key } = await stored(aUser('ada'));
      expect(await store.deleteUser(user.id)).toBe(true);
      expect(await store.findUser(user.id)).toBeUndefined();
      expect(await store.findKey(key.id)).toBeUndefined();
      const namesake = aUser('ada');
      expect(await store.insertUser(namesake)).toEqual(namesake);
      expect(await store.listUsers()).toEqual([namesake]);
    });

    test('an invitation is spent once, by whoever is first, and not when it has expired', async () => {
      const user = aUser('ada');
      await store.insertUser(user);
      const accept = async (secret: string, at: number) =>
        await store.acceptInvitation(secret, at, (of) => {
          const key = aKey(of);
          return { key, secretHash: key.id };
        });
      await store.putInvitation({ userId: user.id, isReset: false, createdAt: now, expiresAt: now + 10 }, 'first');
      await store.putInvitation({ userId: user.id, isReset: false, createdAt: now, expiresAt: now + 20 }, 'second');
      expect(await accept('first', now)).toBeUndefined();
      expect(await accept('second', now + 20)).toBeUndefined();
      const accepted = await Promise.all([1, 2, 3].map(() => accept('second', now + 19)));
      const [made, ...more] = accepted.filter((each) => each !== undefined);
      expect([made?.user, more]).toEqual([user, []]);
      expect(await store.listKeys(user.id)).toEqual([made]);
      expect(await store.listInvitations()).toEqual([]);
      const reset = { userId: user.id, isReset: true, createdAt: now, expiresAt: now + 20 };
      await store.putInvitation(reset, 'reset');
      expect(await accept('reset', now)).toBeUndefined(); // a browser is to sign in with it, which ends the others
      expect(await store.listInvitations()).toEqual([reset]);
    });

    test('admins who revoke each other at once leave one key', async () => {
      const admins = await Promise.all(['ada', 'eve', 'mia'].map((name) => stored(aUser(name, 'admin'))));
      const outcomes = await Promise.all(admins.map(({ key }) => store.revokeKey(key.id, now)));
      expect(outcomes.toSorted()).toEqual(['last_admin_key', 'revoked', 'revoked']);
    });
  });
}
