import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey, IdentityStore, User } from '../../../src/controlplane/auth/identity.ts';
import type { LoginStore } from '../../../src/controlplane/login/login-store.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import { newKeyId, newUserId } from '../../../src/kernel/ids.ts';
import { now } from '../../contracts/store-records.ts';
import { dataDirectory } from './data-directory.ts';

let directory: ReturnType<typeof dataDirectory>;
let storage: Storage;
let logins: LoginStore;
let identities: IdentityStore;
beforeEach(async () => {
  directory = dataDirectory();
  storage = await openStorage(join(directory.path, 'data'));
  ({ logins, identities } = storage);
});
afterEach(async () => {
  await storage.close();
  directory[Symbol.dispose]();
});

const user: User = { id: newUserId(), name: 'ida', role: 'member', createdAt: now, disabledAt: null };
const identity = { issuer: 'https://issuer.example', subject: 'ida' };
const email = 'ida@example.com';

function aSession(createdAt = now, lifeMs = 1_000): ApiKey {
  const when = { createdAt, expiresAt: createdAt + lifeMs, lastUsedAt: null, revokedAt: null };
  const limits = { scopes: null, agents: null, mayIssue: true };
  return { id: newKeyId(), userId: user.id, name: 'Firefox', prefix: 'cs_abc', ...limits, ...when, signedInBy: 'oidc' };
}

const begin = async (session: ApiKey, passwordHash: string | null = null, most = 50) =>
  await logins.insertSession(session, `hash of ${session.id}`, { most, passwordHash });

async function invited(passwordHash: string | null = null): Promise<void> {
  await identities.insertUser(user);
  await logins.putEmail(user.id, email);
  await identities.putInvitation({ userId: user.id, isReset: false, createdAt: now, expiresAt: now + 10 }, 'i');
  if (passwordHash !== null) await logins.acceptInvitation('i', { passwordHash, now });
}

describe('who has no key', () => {
  test('may act while there is a password or an identity to come back with', async () => {
    await invited();
    expect(await identities.liveRole(user.id, now)).toBeUndefined();
    await logins.acceptInvitation('i', { passwordHash: 'p', now });
    expect(await identities.liveRole(user.id, now)).toBe('member');
    await identities.disableUser(user.id, now);
    expect(await identities.liveRole(user.id, now)).toBeUndefined();
    await identities.enableUser(user.id);
    expect(await identities.liveRole(user.id, now)).toBeUndefined(); // the password is void
    await identities.putInvitation({ userId: user.id, isReset: true, createdAt: now, expiresAt: now + 10 }, 'j');
    expect(await logins.linkInvited(identity, { email, now })).toEqual(user);
    expect(await identities.liveRole(user.id, now)).toBe('member');
  });
});

describe('an invitation', () => {
  test('links one identity, and none when it has expired, is spent, or its user is disabled', async () => {
    await invited();
    expect(await logins.linkInvited(identity, { email: 'eva@example.com', now })).toBeUndefined();
    expect(await logins.linkInvited(identity, { email, now: now + 10 })).toBeUndefined();
    const linked = await Promise.all(
      [1, 2, 3].map((n) => logins.linkInvited({ ...identity, subject: `${n}` }, { email, now })),
    );
    expect(linked.filter((each) => each !== undefined)).toEqual([user]);
    await identities.putInvitation({ userId: user.id, isReset: true, createdAt: now, expiresAt: now + 10 }, 'j');
    await identities.disableUser(user.id, now);
    expect(await logins.linkInvited(identity, { email, now })).toBeUndefined();
    expect(await logins.findInvited('j', now)).toBeUndefined();
  });

  test('of a user without an email sets no password, and is not spent by trying', async () => {
    await identities.insertUser(user);
    await identities.putInvitation({ userId: user.id, isReset: false, createdAt: now, expiresAt: now + 10 }, 'i');
    expect(await logins.acceptInvitation('i', { passwordHash: 'p', now })).toBeUndefined();
    expect(await identities.listInvitations()).toHaveLength(1);
  });
});

describe('a session', () => {
  test('is not begun with a password that was changed meanwhile, nor for who was disabled', async () => {
    await invited('old');
    expect(await begin(aSession(), 'old')).toEqual([]);
    expect(await logins.changePassword(user.id, { from: 'other', to: 'new', now })).toBeUndefined();
    expect(await logins.changePassword(user.id, { from: 'old', to: 'new', now })).toHaveLength(1);
    expect(await begin(aSession(), 'old')).toBeUndefined();
    await identities.disableUser(user.id, now);
    expect(await begin(aSession())).toBeUndefined();
    expect(await logins.listSessions(user.id)).toEqual([]);
  });

  test('is one of so many: the next ends the oldest', async () => {
    await invited('p');
    const sessions = [aSession(), aSession(), aSession()];
    const ended = [];
    for (const session of sessions) ended.push(await begin(session, null, 2));
    expect(ended).toEqual([[], [], [sessions[0]?.id]]);
    expect((await logins.listSessions(user.id)).map(({ id }) => id)).toEqual([sessions[2]?.id, sessions[1]?.id]);
  });

  test('whose time is over ends once, with what came first, and is forgotten when the next begins; keys stay', async () => {
    await invited('p');
    const key: ApiKey = { ...aSession(), signedInBy: null, expiresAt: now + 5 };
    await identities.insertKey(key, 'k');
    const [revoked, expired, idle, live] = [aSession(), aSession(now, 5), aSession(now), aSession(now)];
    const ahead = aSession(now + 71);
    for (const each of [revoked, expired, idle, live, ahead]) await begin(each);
    await logins.endSessions(user.id, { only: revoked.id, at: now });
    await identities.touchKey(live.id, now + 50);
    const times = { now: now + 60, idleMs: 50, newest: now + 70 };
    const ended = await logins.endSessionsByTime(times);
    expect(new Map(ended.map((each) => [each.id, each]))).toEqual(
      new Map([
        [expired.id, { id: expired.id, userId: user.id, userName: user.name, reason: 'expired' }],
        [ahead.id, { id: ahead.id, userId: user.id, userName: user.name, reason: 'expired' }],
        [idle.id, { id: idle.id, userId: user.id, userName: user.name, reason: 'idle' }],
      ]),
    );
    expect(await logins.endSessionsByTime(times)).toEqual([]);
    const next = aSession(now + 60);
    await begin(next);
    const kept = [];
    for (const { id } of [key, revoked, expired, idle, live, ahead, next])
      if ((await identities.findKey(id)) !== undefined) kept.push(id);
    expect(kept).toEqual([key.id, live.id, next.id]);
  });

  test('ends with its user, and is not among the keys', async () => {
    await invited('p');
    const session = aSession();
    await begin(session);
    expect(await identities.listKeys(user.id)).toEqual([]);
    expect(await identities.listLiveKeyIds(user.id)).toEqual([session.id]);
    expect(await identities.disableUser(user.id, now)).toEqual([session.id]);
    expect(await identities.deleteUser(user.id)).toBe(true);
    expect(await logins.findByEmail(email)).toBeUndefined();
    expect(await logins.emails()).toEqual(new Map());
  });
});

test('an identity and an email are of one user', async () => {
  await invited('p');
  const other: User = { ...user, id: newUserId(), name: 'eva' };
  await identities.insertUser(other);
  expect(await logins.putEmail(other.id, email)).toBe(false);
  expect(await logins.putEmail(user.id, email)).toBe(true);
  const fresh: User = { ...user, id: newUserId(), name: 'sam' };
  expect(await logins.insertLinked({ user: fresh, email }, identity)).toBe(false);
  expect(await logins.insertLinked({ user: { ...fresh, name: 'ida' }, email: 'sam@example.com' }, identity)).toBe(
    false,
  );
  expect(await logins.insertLinked({ user: fresh, email: 'sam@example.com' }, identity)).toBe(true);
  expect(await logins.findByIdentity(identity)).toEqual(fresh);
  expect(await logins.findByIdentity({ ...identity, issuer: 'https://other.example' })).toBeUndefined();
  expect(await logins.findByUser(fresh.id)).toEqual({ user: fresh, email: 'sam@example.com', passwordHash: null });
});
