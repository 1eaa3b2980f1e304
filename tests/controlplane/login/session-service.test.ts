import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { User } from '../../../src/controlplane/auth/identity.ts';
import { SessionService } from '../../../src/controlplane/login/session-service.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import { newUserId } from '../../../src/kernel/ids.ts';
import { SteadyClock } from '../../../src/kernel/steady-clock.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';
import { dataDirectory } from '../storage/data-directory.ts';

const minute = 60_000;
const hour = 60 * minute;
const user: User = { id: newUserId(), name: 'ida', role: 'member', createdAt: 0, disabledAt: null };
let directory: ReturnType<typeof dataDirectory>;
let storage: Storage;
let clock: SteeredClock;
let sessions: SessionService;

beforeEach(async () => {
  directory = dataDirectory();
  storage = await openStorage(join(directory.path, 'data'));
  await storage.identities.insertUser(user);
  clock = new SteeredClock();
  sessions = new SessionService({
    store: storage.logins,
    keys: { ended: () => undefined },
    log: { created: () => undefined, refused: () => undefined, ended: () => undefined },
    clock: new SteadyClock(clock),
    idleMs: 12 * hour,
    lifeMs: 168 * hour,
  });
});
afterEach(async () => {
  await storage.close();
  directory[Symbol.dispose]();
});

const begin = async () =>
  await sessions.begin(user, {
    signedInBy: 'oidc',
    passwordHash: null,
    visitor: { address: '127.0.0.1', browser: 'Firefox' },
    replaces: undefined,
  });
const open = async (): Promise<number> => (await storage.logins.listSessions(user.id)).length;

/** With a look each minute at which are over. */
async function pass(minutes: number): Promise<void> {
  for (let each = 0; each < minutes; each++) {
    clock.advance(minute);
    await sessions.endByTime();
  }
}

test('a session that began while the clock was ahead ends when the clock is right, and does not live as much longer', async () => {
  await begin();
  clock.jump(-720 * hour);
  await pass(9);
  expect(await open()).toBe(1);
  await pass(2);
  expect(await open()).toBe(0);
});

test('a session that began when the clock had been put forward goes on, also while the clock is in doubt', async () => {
  await pass(11);
  clock.jump(8 * hour); // the machine slept
  await begin();
  await pass(20);
  expect(await open()).toBe(1);
});

test('a session that has just begun goes on when the clock is put back a little', async () => {
  await pass(11);
  await begin();
  clock.jump(-30_000);
  await pass(20);
  expect(await open()).toBe(1);
});
