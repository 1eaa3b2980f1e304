import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Agent } from '../../../src/agents/agent.ts';
import { Access } from '../../../src/controlplane/auth/access.ts';
import { ensureAdminKey } from '../../../src/controlplane/auth/admin-key.ts';
import type { IdentityStore, Principal } from '../../../src/controlplane/auth/identity.ts';
import { hashKeySecret, isKeySecret, newKeySecret } from '../../../src/controlplane/auth/key-secret.ts';
import { KeyService, newKey } from '../../../src/controlplane/auth/key-service.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { fullKey } from '../principals.ts';
import type { Clock } from '../../../src/kernel/clock.ts';
import { newAgentId, newKeyId, newUserId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';

let directory: string;
let storage: Storage;
let now = 1_000_000;
const clock: Clock = { now: () => now, elapsed: () => now, schedule: () => () => undefined };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-keys-'));
  storage = await openStorage(directory);
  now = 1_000_000;
});
afterEach(async () => {
  await storage.close();
  await rm(directory, { recursive: true });
});

function service(store: IdentityStore = storage.identities): KeyService {
  return new KeyService({ store, clock, logger: silentLogger });
}

/** Counts calls of one method, and can hold them up. */
function counting(method: 'findKeyByHash' | 'touchKey', gate: Promise<void> = Promise.resolve()) {
  const real = storage.identities;
  const state = { calls: 0 };
  const store: IdentityStore = Object.create(real, {
    [method]: {
      value: async (...call: [never, never]) => {
        state.calls += 1;
        const found = await real[method](...call);
        await gate;
        return found;
      },
    },
  }) as IdentityStore;
  return { state, store };
}

describe('a key', () => {
  test('has 256 bits of chance, and only its hash is stored', async () => {
    const { secret, key } = await service().issue({ user: 'a', role: 'member', name: 'k' });
    expect(secret).toMatch(/^ck_[A-Za-z0-9_-]{43}$/);
    expect(Buffer.from(secret.slice(3), 'base64url')).toHaveLength(32);
    expect(key.prefix).toBe(secret.slice(0, 9));
    const stored = await storage.identities.findKeyByHash(hashKeySecret(secret));
    expect(JSON.stringify(stored)).not.toContain(secret);
    for (const file of ['caisson.db', 'caisson.db-wal']) {
      const bytes = await readFile(join(directory, file)).catch(() => Buffer.alloc(0));
      expect(bytes.includes(secret)).toBe(false);
    }
  });

  test('two are never the same', () => {
    const made = new Set(Array.from({ length: 1_000 }, newKeySecret));
    expect(made.size).toBe(1_000);
    expect([...made].every(isKeySecret)).toBe(true);
  });

  test.each(['Bearer {}', 'bearer {}', 'Bearer   {} '])('is taken from "%s"', async (form) => {
    const keys = service();
    const { secret, user } = await keys.issue({ user: 'a', role: 'member', name: 'k' });
    expect(await keys.authenticate(form.replace('{}', secret))).toMatchObject({ userId: user.id, role: 'member' });
  });

  test.each([undefined, '', 'Bearer', 'Bearer x', '{}', 'Basic {}', 'Bearer {}x', 'Bearer {} {}', 'Bearer  ck_'])(
    'is not taken from %j',
    async (form) => {
      const keys = service();
      const { secret } = await keys.issue({ user: 'a', role: 'member', name: 'k' });
      await expect(keys.authenticate(form?.replaceAll('{}', secret))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    },
  );
});

describe('authentication', () => {
  test('asks the store once for many calls, and again after a few seconds', async () => {
    const { state, store } = counting('findKeyByHash');
    const keys = service(store);
    const { secret } = await keys.issue({ user: 'a', role: 'member', name: 'k' });
    for (let call = 0; call < 10; call++) await keys.authenticateSecret(secret);
    expect(state.calls).toBe(1);
    now += 5_000;
    await keys.authenticateSecret(secret);
    expect(state.calls).toBe(2);
  });

  test('an answer of the store that was on its way when the key was revoked is not remembered', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { store } = counting('findKeyByHash', gate);
    const keys = service(store);
    const { secret, key } = await keys.issue({ user: 'a', role: 'member', name: 'k' });
    const admin = await adminOf(keys);
    const early = keys.authenticateSecret(secret);
    await keys.revoke(admin, key.id);
    open();
    await early; // it began before the revocation
    await expect(keys.authenticateSecret(secret)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('the last use is written at most once a minute', async () => {
    const { state, store } = counting('touchKey');
    const keys = service(store);
    const { secret, key } = await keys.issue({ user: 'a', role: 'member', name: 'k' });
    for (const wait of [0, 1_000, 30_000, 28_999]) {
      now += wait;
      await keys.authenticateSecret(secret);
    }
    await keys[Symbol.asyncDispose]();
    expect(state.calls).toBe(1);
    now += 1;
    await keys.authenticateSecret(secret);
    await keys[Symbol.asyncDispose]();
    expect(state.calls).toBe(2);
    expect((await storage.identities.findKey(key.id))?.key.lastUsedAt).toBe(now);
  });

  test('goes on when the last use cannot be written', async () => {
    const store: IdentityStore = Object.create(storage.identities, {
      touchKey: { value: () => Promise.reject(new Error('the disk is full')) },
    }) as IdentityStore;
    const keys = service(store);
    const { secret } = await keys.issue({ user: 'a', role: 'member', name: 'k' });
    await keys.authenticateSecret(secret);
    await keys[Symbol.asyncDispose]();
  });
});

describe('a key that expires', () => {
  test('is refused from then on, and what listens is told once, also when nobody asks', async () => {
    const hand = new HandClock();
    const keys = new KeyService({ store: storage.identities, clock: hand, logger: silentLogger });
    const ended: string[] = [];
    keys.onEnded((keyId) => ended.push(keyId));
    const expiresAt = hand.now() + 60_000;
    const { secret, key } = await keys.issue({ user: 'a', role: 'member', name: 'k', expiresAt });
    await keys.authenticateSecret(secret);
    await keys.authenticateSecret(secret);
    hand.advance(59_999);
    await keys.authenticateSecret(secret);
    expect(ended).toEqual([]);
    hand.advance(1);
    expect(ended).toEqual([key.id]);
    await expect(keys.authenticateSecret(secret)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringContaining('expired'),
    });
    await keys[Symbol.asyncDispose]();
  });

  test('is refused at its time although it was just believed', async () => {
    const keys = service();
    const { secret } = await keys.issue({ user: 'a', role: 'member', name: 'k', expiresAt: now + 1_000 });
    await keys.authenticateSecret(secret);
    now += 1_000;
    await expect(keys.authenticateSecret(secret)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });
});

describe('whether a key lives on, with what was made with it', () => {
  test('it does until it is revoked, has expired, or its user is disabled', async () => {
    const keys = service();
    const by = { user: 'a', role: 'member', name: 'k' } as const;
    const [{ key: revoked, user }, { key: expiring }] = [
      await keys.issue(by),
      await keys.issue({ ...by, expiresAt: now + 10 }),
    ];
    expect([await keys.isLive(revoked.id), await keys.isLive(expiring.id)]).toEqual([true, true]);
    now += 10;
    expect([await keys.isLive(revoked.id), await keys.isLive(expiring.id)]).toEqual([true, false]);
    await storage.identities.revokeKey(revoked.id, now);
    expect([await keys.isLive(revoked.id), await keys.isLive(newKeyId())]).toEqual([false, false]);
    const { key: last } = await keys.issue(by);
    await storage.identities.disableUser(user.id, now);
    expect(await keys.isLive(last.id)).toBe(false);
  });

  test('a session does while it is used, also where this control plane was started after its last use', async () => {
    const { user } = await service().issue({ user: 'a', role: 'member', name: 'k' });
    const keys = new KeyService({ store: storage.identities, clock, logger: silentLogger, sessionIdleMs: 100 });
    const { key, secretHash } = newKey(user, { name: 'Firefox', expiresAt: now + 1_000 }, now);
    const session = { ...key, signedInBy: 'password' } as const;
    await storage.logins.insertSession(session, secretHash, { most: 50, passwordHash: null });
    now += 99;
    expect(await keys.isLive(session.id)).toBe(true);
    now += 1;
    expect(await keys.isLive(session.id)).toBe(false);
    await storage.identities.touchKey(session.id, now);
    expect(await keys.isLive(session.id)).toBe(true);
  });
});

describe("the administrator's key", () => {
  const file = (): string => join(directory, 'admin.key');
  const ensure = (keys = service()) =>
    ensureAdminKey({ keys, store: storage.identities, dataDir: directory, logger: silentLogger });

  test('is made at the first start, in a private file, and found at the second', async () => {
    const first = await ensure();
    expect(first).toMatchObject({ state: 'created', file: file() });
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    const second = await ensure();
    expect(second).toEqual({ ...first, state: 'valid' });
    expect(await service().authenticateSecret((await readFile(file(), 'utf8')).trim())).toMatchObject({
      role: 'admin',
      userName: 'admin',
    });
    expect(await storage.identities.listKeys(null)).toHaveLength(1);
  });

  test('is made anew when its file was deleted', async () => {
    const first = await ensure();
    await rm(file());
    const second = await ensure();
    expect(second.state).toBe('created');
    expect(second).not.toMatchObject({ secret: 'secret' in first ? first.secret : '' });
  });

  test.each([
    ['text that is no key', 'hello\n', /its text is not an API key/],
    ['a key that never was', `ck_${'A'.repeat(43)}\n`, /not known here/],
    ['nothing', '', /its text is not an API key/],
  ])('is left alone, with a way out, when its file holds %s', async (_what, text, problem) => {
    await ensure();
    await writeFile(file(), text);
    const found = await ensure();
    expect(found).toMatchObject({ state: 'unusable', problem: expect.stringMatching(problem) });
    expect(found).toMatchObject({ problem: expect.stringContaining('delete the file and start again') });
    expect(await readFile(file(), 'utf8')).toBe(text);
  });

  test('that was revoked is told, while another administrator has one', async () => {
    const keys = service();
    await ensure(keys);
    const other = await adminOf(keys);
    const { keyId } = await keys.authenticateSecret((await readFile(file(), 'utf8')).trim());
    await keys.revoke(other, keyId);
    expect(await ensure(keys)).toMatchObject({ state: 'unusable', problem: expect.stringContaining('was revoked') });
  });

  test('of a database that is gone is replaced', async () => {
    await writeFile(file(), `${newKeySecret()}\n`);
    expect(await ensure()).toMatchObject({ state: 'created' });
  });

  test('makes other keys, also where it was made anew for an administrator who was disabled', async () => {
    const keys = service();
    await ensure(keys);
    const { userId, mayIssue } = await keys.authenticateSecret((await readFile(file(), 'utf8')).trim());
    expect(mayIssue).toBe(true);
    await adminOf(keys);
    await storage.identities.disableUser(userId, now);
    await rm(file());
    expect(await ensure(keys)).toMatchObject({ state: 'created' });
    const secret = (await readFile(file(), 'utf8')).trim();
    expect(await keys.authenticateSecret(secret)).toMatchObject({ userId, mayIssue: true });
  });

  test('that a member put there is told', async () => {
    const keys = service();
    await ensure(keys);
    const { secret } = await keys.issue({ user: 'bob', role: 'member', name: 'k' });
    await writeFile(file(), secret);
    expect(await ensure(keys)).toMatchObject({ state: 'unusable', problem: expect.stringContaining('the member bob') });
  });

  test('is closed again to others who could read it', async () => {
    await ensure();
    await chmod(file(), 0o644);
    await ensure();
    expect((await stat(file())).mode & 0o777).toBe(0o600);
  });
});

describe('whether a user may still run an agent', () => {
  const agentOf = (ownerId: Agent['ownerId']): Agent => ({
    id: newAgentId(),
    name: 'worker',
    ownerId,
    harness: 'codex',
    model: null,
    provider: 'docker',
    limits: { cpus: 1, memoryBytes: 1, pids: 1 },
    createdAt: 0,
    deleting: false,
    sandbox: { state: 'starting' },
  });

  test('its owner and administrators may, others may not, and nobody without a live key', async () => {
    const keys = service();
    const access = new Access({ ...storage, clock });
    const admin = await adminOf(keys);
    const { user, key } = await keys.issue({ user: 'alice', role: 'member', name: 'k' });
    const { user: bob } = await keys.issue({ user: 'bob', role: 'member', name: 'k' });
    const agent = agentOf(user.id);
    expect(await access.mayRun(user.id, agent)).toBe(true);
    expect(await access.mayRun(admin.userId, agent)).toBe(true);
    expect(await access.mayRun(bob.id, agent)).toBe(false);
    expect(await access.mayRun(newUserId(), agent)).toBe(false);
    await keys.revoke(admin, key.id);
    expect(await access.mayRun(user.id, agent)).toBe(false);
  });
});

async function adminOf(keys: KeyService): Promise<Principal> {
  const { key, user } = await keys.issue({ user: 'root', role: 'admin', name: 'k' });
  return { userId: user.id, userName: user.name, role: user.role, keyId: key.id, ...fullKey };
}
