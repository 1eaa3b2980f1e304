import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HandClock } from '../../acp/hand-clock.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';
import { type RunningServer, startServer } from '../running-server.ts';
import { Browser } from './browser.ts';
import { invite, password, signedIn } from './people.ts';

let server: RunningServer;
beforeEach(async () => {
  server = await startServer();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

const loggedReasons = (): unknown[] =>
  server.log.filter(({ message }) => message === 'a sign-in was refused').map(({ fields }) => fields['reason']);

describe('an invitation', () => {
  test('is accepted with a password, which signs in, and later signs in again', async () => {
    const { invitation, url } = await invite(server, { name: 'ida', email: 'Ida@Example.com', role: 'auditor' });
    expect(url).toBe(`${server.url.replace('127.0.0.1', 'localhost')}/invitation#${invitation}`);
    const browser = new Browser(server);
    expect((await browser.open('/invitation')).text).toContain('Choose your password');
    const accepted = await browser.submit('/invitation', { invitation, password, repeated: password });
    expect([accepted.status, accepted.location]).toEqual([303, '/account']);
    expect(accepted.headers['set-cookie']?.[0]).toMatch(
      /^caisson-session=cs_[\w-]{43}; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax$/,
    );
    const account = await browser.open('/account');
    expect(account.text).toMatch(/You are ida[^]*auditor[^]*ida@example\.com/);
    expect(account.text).toContain('<code>caisson keys create ida</code>');

    const other = new Browser(server);
    expect((await other.open('/account')).location).toBe('/login');
    const refused = await other.submit('/login', { email: 'ida@example.com', password: `${password}!` });
    expect([refused.status, other.cookie]).toEqual([401, '']);
    const entered = await other.submit('/login', { email: ' IDA@example.com ', password });
    expect([entered.status, entered.location]).toEqual([303, '/account']);
    expect((await other.open('/login')).location).toBe('/account');
  });

  test('works once, and neither its password nor any other is in the store or the log', async () => {
    const { invitation } = await invite(server, { name: 'ida', email: 'ida@example.com' });
    const tries = Array.from({ length: 4 }, (_, each) => `password number ${each}`);
    const answers = await Promise.all(
      tries.map((own) => new Browser(server).submit('/invitation', { invitation, password: own, repeated: own })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([303, 412, 412, 412]);
    const login = await server.storage.logins.findByEmail('ida@example.com');
    expect(login?.passwordHash).toMatch(/^scrypt\$32768\$8\$3\$[\w-]{22}\$[\w-]{43}$/);
    expect(JSON.stringify(server.log)).not.toContain('password number');
  });

  test.each([
    ['short', 'eleven char', 'A password has 12 to 256 characters. This one has 11.<'],
    ['endless', 'ab cd'.repeat(60), 'A password has 12 to 256 characters. This one has 300.<'],
    ['their email', 'IDA@example.com', 'too easy to guess. Take one that is not your email or your name,'],
    ['one letter', 'aaaaaaaaaaaaaa', 'and has at least four different characters.<'],
  ])('is not spent by a password that is %s', async (_, bad, reason) => {
    const { invitation } = await invite(server, { name: 'ida', email: 'ida@example.com' });
    const refused = await new Browser(server).submit('/invitation', { invitation, password: bad, repeated: bad });
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining(reason)]);
    const accepted = await new Browser(server).submit('/invitation', { invitation, password, repeated: password });
    expect(accepted.status).toBe(303);
  });

  test('without an email is for a key, and opens no browser', async () => {
    const { invitation, url } = await invite(server, { name: 'ida' });
    expect(url).toBeNull();
    const refused = await new Browser(server).submit('/invitation', { invitation, password, repeated: password });
    expect(refused.status).toBe(412);
    expect((await server.mutate(null, 'users.accept', { invitation })).status).toBe(200);
  });

  test('cannot take the email of somebody else', async () => {
    await signedIn(server, { name: 'ida' });
    const taken = await server.mutate(server.admin, 'users.invite', { name: 'eva', email: 'IDA@example.com' });
    expect([taken.status, taken.error?.code]).toEqual([409, 'NAME_TAKEN']);
    const names = (await server.storage.identities.listUsers()).map(({ name }) => name);
    expect(names).not.toContain('eva');
    const userId = server.bob.principal.userId;
    const reset = await server.mutate(server.admin, 'users.resetLogin', { userId, email: 'ida@example.com' });
    expect(reset.error?.code).toBe('NAME_TAKEN');
  });
});

describe('a link for a new password', () => {
  test('ends every session, voids the old password, and does not make its user invited', async () => {
    const ida = await signedIn(server);
    const { data } = await server.mutate(server.admin, 'users.resetLogin', { userId: ida.userId });
    const { invitation } = data as { invitation: string };
    expect(data).toMatchObject({ user: { state: 'active' } });
    expect((await ida.open('/account')).status).toBe(200);
    const next = 'another battery staple';
    const browser = new Browser(server);
    expect((await browser.submit('/invitation', { invitation, password: next, repeated: next })).status).toBe(303);
    expect((await ida.open('/account')).location).toBe('/login');
    const login = { email: 'ida@example.com' };
    expect((await new Browser(server).submit('/login', { ...login, password })).status).toBe(401);
    expect((await new Browser(server).submit('/login', { ...login, password: next })).status).toBe(303);
  });

  test('is made by who may let people in, and not for the disabled', async () => {
    const userId = server.bob.principal.userId;
    const asked = { userId, email: 'bob@example.com' };
    expect((await server.mutate(server.alice, 'users.resetLogin', asked)).status).toBe(403);
    const { secret } = await server.keys.issue({ user: 'helper', role: 'admin', name: 'made by a key' });
    expect((await server.mutate({ ...server.admin, secret }, 'users.resetLogin', asked)).error?.code).toBe('FORBIDDEN');
    await server.mutate(server.admin, 'users.disable', { userId });
    expect((await server.mutate(server.admin, 'users.resetLogin', asked)).error?.code).toBe('USER_DISABLED');
  });
});

describe('who signs in', () => {
  test('is answered alike whether or not the email is known, has a password, or is disabled', async () => {
    await signedIn(server, { name: 'ida' });
    const gone = await signedIn(server, { name: 'gone' });
    await server.mutate(server.admin, 'users.disable', { userId: gone.userId });
    await invite(server, { name: 'new', email: 'new@example.com' });
    const pages = new Set<string>();
    for (const name of ['ida', 'gone', 'new', 'nobody']) {
      const email = `${name}@example.com`;
      const { status, text, headers } = await new Browser(server).submit('/login', { email, password: 'not this one' });
      pages.add(`${status} ${headers['set-cookie']?.join()} ${text.replaceAll(email, 'EMAIL')}`);
    }
    expect([...pages]).toEqual([expect.stringMatching(/^401 undefined .*The email or the password is not right/s)]);
    expect(loggedReasons()).toEqual(Array.from({ length: 4 }, () => 'wrong_credentials'));
    expect(JSON.stringify(server.log)).not.toMatch(/nobody@example\.com|not this one/);
  });

  test('gets a new session each time, and the one that the browser had ends', async () => {
    const ida = await signedIn(server);
    const before = ida.cookie;
    await ida.submit('/login', { email: 'ida@example.com', password });
    expect(ida.cookie).toMatch(/^caisson-session=cs_/);
    expect(ida.cookie).not.toBe(before);
    const old = await fetch(`${server.url}/account`, { headers: { cookie: before }, redirect: 'manual' });
    expect(old.headers.get('location')).toBe('/login');
  });

  test('is told what to do where there is no identity provider', async () => {
    const { status, text } = await new Browser(server).open('/login/oidc');
    expect([status, text]).toEqual([400, expect.stringContaining('here. Sign in with your email and your password.<')]);
  });

  test('does not take a session that somebody planted: its cookie is not kept', async () => {
    const mallory = await signedIn(server, { name: 'mallory' });
    await signedIn(server, { name: 'ida' });
    const planted = mallory.cookie;
    const entered = await fetch(`${server.url}/login`, {
      method: 'POST',
      headers: { cookie: planted, origin: server.url, 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ email: 'ida@example.com', password }),
      redirect: 'manual',
    });
    const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? '';
    expect([entered.status, cookie === planted]).toEqual([303, false]);
    // Two sessions at once, one of them from another host of the domain: neither is believed.
    const both = await fetch(`${server.url}/account`, {
      headers: { cookie: `${planted}; ${cookie}` },
      redirect: 'manual',
    });
    expect(both.headers.get('location')).toBe('/login');
  });

  test('fails ten times for one account, and is then refused whatever the password', async () => {
    await signedIn(server);
    const email = 'ida@example.com';
    const tries = Array.from({ length: 13 }, () =>
      new Browser(server).submit('/login', { email, password: 'no no no no' }),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429, 429]);
    const right = await new Browser(server).submit('/login', { email, password });
    expect([right.status, Number(right.headers['retry-after']) > 0]).toEqual([429, true]);
    expect(loggedReasons()).toContain('too_many_attempts');
  }, 60_000);
});

describe('who is signed in', () => {
  test('calls the API with the cookie, and an administrator makes keys and invites', async () => {
    const root = await signedIn(server, { name: 'rosa', role: 'admin' });
    const headers = { origin: server.url, 'content-type': 'application/json' };
    const body = JSON.stringify({ user: 'ci', name: 'ci' });
    const made = await root.call('keys.create', { method: 'POST', headers, body });
    expect([made.status, made.text]).toEqual([200, expect.stringMatching(/"secret":"ck_/)]);
    const invited = await root.call('users.invite', { method: 'POST', headers, body: JSON.stringify({ name: 'kim' }) });
    expect(invited.status).toBe(200);
    const ida = await signedIn(server, { name: 'ida' });
    expect((await ida.call('keys.create', { method: 'POST', headers, body })).status).toBe(403);
    expect((await ida.call('agents.list?input={}')).status).toBe(200);
    const batch = await ida.call('agents.list,sessions.list?batch=1&input={}');
    expect([batch.status, batch.text]).toEqual([200, expect.stringContaining('"isCurrent":true')]);
  });

  test('is no key: not as a bearer, not in the list of keys, and keys are no session', async () => {
    const ida = await signedIn(server);
    const secret = ida.cookie.split('=')[1] ?? '';
    expect((await server.query({ ...server.admin, secret }, 'sessions.list')).status).toBe(401);
    const cookie = `caisson-session=${server.alice.secret}`;
    const asKey = await fetch(`${server.url}/trpc/sessions.list`, { headers: { cookie } });
    expect(asKey.status).toBe(401);
    const { data } = await server.query(server.admin, 'keys.list');
    expect(JSON.stringify(data)).not.toContain('"ida"');
    const sessions = await server.storage.logins.listSessions(ida.userId);
    const keyId = sessions[0]?.id;
    expect((await server.mutate(server.admin, 'keys.revoke', { keyId })).error?.code).toBe('KEY_NOT_FOUND');
  });

  test('sees its own browsers, and signs out one, itself, or all', async () => {
    const ida = await signedIn(server);
    const bob = await signedIn(server, { name: 'bert' });
    const others = [new Browser(server), new Browser(server)];
    for (const each of others) await each.submit('/login', { email: 'ida@example.com', password });
    const { text } = await ida.call('sessions.list');
    const { items } = (JSON.parse(text) as { result: { data: { items: { id: string; isCurrent: boolean }[] } } }).result
      .data;
    expect(items.map(({ isCurrent }) => isCurrent)).toEqual([false, false, true]);
    const post = (sessionId: unknown) => ({
      method: 'POST',
      headers: { origin: server.url, 'content-type': 'application/json' },
      body: JSON.stringify({ sessionId }),
    });
    const theirs = await server.storage.logins.listSessions(bob.userId);
    expect((await ida.call('sessions.revoke', post(theirs[0]?.id))).status).toBe(404);
    expect((await ida.submit('/account/sessions', { sessionId: items[0]?.id ?? '' })).location).toBe('/account');
    const again = await ida.submit('/account/sessions', { sessionId: items[0]?.id ?? '' });
    expect([again.status, again.text]).toEqual([
      404,
      expect.stringMatching(/You are ida[^]*It may have ended already\./),
    ]);
    expect((await others[1]?.open('/account'))?.location).toBe('/login');
    const first = others[0];
    expect((await first?.open('/account'))?.status).toBe(200);
    expect((await first?.submit('/logout', {}))?.location).toBe('/login');
    expect(first?.cookie).toBe('');
    await first?.submit('/login', { email: 'ida@example.com', password });
    expect((await ida.submit('/logout/everywhere', {})).location).toBe('/login');
    expect((await first?.open('/account'))?.location).toBe('/login');
    expect((await bob.open('/account')).status).toBe(200);
  });

  test('changes the password with the present one, which ends all other sessions', async () => {
    const ida = await signedIn(server);
    const other = new Browser(server);
    await other.submit('/login', { email: 'ida@example.com', password });
    const next = 'another battery staple';
    const wrong = await ida.submit('/account/password', { current: 'not this one', next });
    expect([wrong.status, wrong.text]).toEqual([401, expect.stringContaining('is not right')]);
    const before = ida.cookie;
    expect((await ida.submit('/account/password', { current: password, next })).location).toBe('/account');
    expect(ida.cookie).not.toBe(before);
    expect((await ida.open('/account')).status).toBe(200);
    expect((await other.open('/account')).location).toBe('/login');
    expect((await other.submit('/login', { email: 'ida@example.com', password })).status).toBe(401);
  });

  test('shows nothing of what it typed as HTML', async () => {
    const email = '"><script>alert(1)</script>@example.com';
    const { text, headers } = await new Browser(server).submit('/login', { email, password: 'x' });
    expect(text).not.toContain('<script>');
    expect(headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    expect(headers['x-frame-options']).toBe('DENY');
  });
});

test('who came in, who did not, and who left is in the audit', async () => {
  const ida = await signedIn(server);
  await new Browser(server).submit('/login', { email: 'ida@example.com', password: 'not this one' });
  await ida.submit('/logout', {});
  server.recordCounts();
  const about = async (action: string): Promise<unknown> =>
    (await server.query(server.admin, 'audit.search', { action })).data;
  expect(await about('session.created')).toMatchObject({
    items: [{ userId: ida.userId, userName: 'ida', address: '127.0.0.1' }],
  });
  expect(await about('session.refused')).toMatchObject({ items: [{ details: { reason: 'wrong_credentials' } }] });
  expect(await about('session.ended')).toMatchObject({
    items: [{ userId: ida.userId, userName: 'ida', details: { reason: 'signed_out' } }],
  });
});

describe('a session', () => {
  test('ends when it is not used, and whatever happens at its end; what is open ends too', async () => {
    await server[Symbol.asyncDispose]();
    const clock = new HandClock();
    server = await startServer({ clock, login: { sessionIdleMs: 600_000, sessionLifeMs: 1_800_000 } });
    const ida = await signedIn(server);
    const agents = async (): Promise<number> => (await ida.call('agents.list?input={}')).status;
    for (const wait of [300_000, 590_000, 590_000]) {
      clock.advance(wait);
      expect(await agents()).toBe(200);
    }
    clock.advance(320_000); // its life is over
    expect(await agents()).toBe(401);
    await ida.submit('/login', { email: 'ida@example.com', password });
    expect(await agents()).toBe(200);
    const ended: string[] = [];
    server.keys.onEnded((keyId) => ended.push(keyId));
    clock.advance(600_000);
    await expect.poll(() => ended.length, { timeout: 20_000 }).toBeGreaterThan(0);
    expect(await agents()).toBe(401);
    const reasons = async (): Promise<unknown> => {
      clock.advance(60_000);
      const { data } = await server.query(server.admin, 'audit.search', { action: 'session.ended' });
      return (data as { items: { details: { reason: string } }[] }).items.map(({ details }) => details.reason);
    };
    await expect.poll(reasons, { timeout: 20_000 }).toEqual(['idle', 'expired']);
  });

  test('is not ended for good by a clock that is ahead for a moment, nor kept by one that is set back', async () => {
    await server[Symbol.asyncDispose]();
    const clock = new SteeredClock();
    server = await startServer({ clock, login: { sessionIdleMs: 7_200_000, sessionLifeMs: 7_200_000 } });
    const ida = await signedIn(server);
    const agents = async (): Promise<number> => (await ida.call('agents.list?input={}')).status;
    /** Minutes in which sessions whose time is over are looked for. */
    const pass = async (minutes: number): Promise<void> => {
      for (let each = 0; each < minutes; each++) {
        await expect.poll(() => clock.timers, { timeout: 20_000 }).toBeGreaterThan(0);
        clock.advance(60_000);
        await server.storage.identities.listUsers(); // behind what ends them
        await new Promise((resolve) => void setImmediate(resolve));
      }
    };
    const ended = async (): Promise<unknown> => {
      const { data } = await server.query(server.admin, 'audit.search', { action: 'session.ended' });
      return (data as { items: { details: { reason: string } }[] }).items.map(({ details }) => details.reason);
    };
    await pass(12);
    expect(await agents()).toBe(200);
    clock.jump(86_400_000);
    await pass(3);
    expect(await agents()).toBe(401);
    clock.jump(-86_400_000);
    await pass(3);
    expect(await agents()).toBe(200);
    expect(await ended()).toEqual([]);

    await pass(60);
    clock.jump(-86_400_000);
    await pass(9);
    expect(await agents()).toBe(200);
    clock.jump(86_400_000);
    await pass(30);
    clock.jump(-86_400_000);
    await pass(5);
    expect(await agents()).toBe(401);
    await pass(30); // the clock is believed
    expect(await agents()).toBe(401);
    expect(await ended()).toEqual(['expired']);
  });
});
