import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Config } from '../../../src/controlplane/config.ts';
import { type RunningServer, startServer } from '../running-server.ts';
import { Browser } from './browser.ts';
import { invite, password, signedIn } from './people.ts';
import { type Account, type RunningProvider, startProvider } from './running-provider.ts';

const accounts = new Map<string, Account>([
  ['ida-at-work', { email: 'Ida@Example.com', isVerified: true }],
  ['eve', { email: 'ida@example.com', isVerified: false }],
  ['sam', { email: 'sam@open.example', isVerified: true }],
  ['liar', { email: 'liar@open.example', isVerified: false }],
  ['mallory', { email: 'mallory@open.example.evil.test', isVerified: true }],
]);

let provider: RunningProvider;
let server: RunningServer;
beforeAll(async () => {
  provider = await startProvider(accounts);
});
afterAll(() => provider[Symbol.asyncDispose]());

async function serve(login: Partial<Config['login']> = {}): Promise<void> {
  const { issuer, clientId, clientSecret } = provider;
  server = await startServer({ login: { oidc: { issuer, clientId, clientSecret, clientSecretFile: null }, ...login } });
}
beforeEach(() => serve());
afterEach(() => server[Symbol.asyncDispose]());

/** Signs in at the provider; resolves with the address that it sends the browser back to. */
async function atProvider(url: string, account: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let next = new URL(url);
  let body: URLSearchParams | undefined;
  for (let step = 0; step < 10; step++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const sent = body === undefined ? { method: 'GET' } : { method: 'POST', body };
    const response = await fetch(next, { ...sent, headers: { cookie }, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location === null) {
      expect([step, response.status, await response.text()]).toEqual([step, 200, expect.stringContaining('<form')]);
      body = new URLSearchParams({ account });
      continue;
    }
    body = undefined;
    next = new URL(location, next);
    if (next.pathname === '/login/oidc/callback') return next;
  }
  throw new Error('the provider does not send the browser back');
}

async function begin(browser: Browser): Promise<string> {
  const begun = await browser.open('/login/oidc', { 'sec-fetch-site': 'same-origin' });
  expect(begun.status).toBe(303);
  return begun.location ?? '';
}

/** As the browser comes back: from another site. */
async function comeBack(browser: Browser, to: URL): ReturnType<Browser['open']> {
  return await browser.open(`${to.pathname}${to.search}`, {
    'sec-fetch-site': 'cross-site',
    'sec-fetch-dest': 'document',
  });
}

async function signIn(account: string, browser = new Browser(server)): ReturnType<Browser['open']> {
  return await comeBack(browser, await atProvider(await begin(browser), account));
}

describe('somebody who is invited', () => {
  test('comes in by the verified email, and from then on by the identity, whatever becomes of the email', async () => {
    const { user, invitation } = await invite(server, { name: 'ida', email: 'ida@example.com' });
    const browser = new Browser(server);
    const entered = await signIn('ida-at-work', browser);
    expect([entered.status, entered.location]).toEqual([303, '/account']);
    expect((await browser.open('/account')).text).toMatch(/You are ida[^]*by your organization/);
    const { data } = await server.query(server.admin, 'users.get', { userId: user.id });
    expect(data).toMatchObject({ state: 'active', email: 'ida@example.com' });
    // The invitation is spent.
    const late = await new Browser(server).submit('/invitation', { invitation, password, repeated: password });
    expect([late.status, late.text]).toEqual([412, expect.stringContaining('There is no such invitation')]);
    accounts.set('ida-at-work', { email: 'ida@elsewhere.example', isVerified: true });
    try {
      expect((await signIn('ida-at-work')).location).toBe('/account');
    } finally {
      accounts.set('ida-at-work', { email: 'Ida@Example.com', isVerified: true });
    }
  });

  test('does not come in by an email that the provider has not verified', async () => {
    await invite(server, { name: 'ida', email: 'ida@example.com' });
    const refused = await signIn('eve');
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('no invitation for you')]);
  });

  test('does not come in when the invitation is spent: a password does not open the account to whoever has the email', async () => {
    const { invitation } = await invite(server, { name: 'ida', email: 'ida@example.com' });
    const browser = new Browser(server);
    await browser.submit('/invitation', { invitation, password, repeated: password });
    expect((await signIn('ida-at-work')).status).toBe(403);
  });

  test('is out when disabled, and does not come back by the identity', async () => {
    const { user } = await invite(server, { name: 'ida', email: 'ida@example.com' });
    const browser = new Browser(server);
    await signIn('ida-at-work', browser);
    expect((await server.mutate(server.admin, 'users.disable', { userId: user.id })).status).toBe(200);
    expect((await browser.open('/account')).location).toBe('/login');
    expect((await signIn('ida-at-work')).status).toBe(403);
    await server.mutate(server.admin, 'users.enable', { userId: user.id });
    expect((await signIn('ida-at-work')).location).toBe('/account');
  });
});

describe('somebody who is not invited', () => {
  test('stays out', async () => {
    const refused = await signIn('sam');
    expect([refused.status, refused.location]).toEqual([403, undefined]);
    expect((await server.storage.identities.listUsers()).map(({ name }) => name)).not.toContain('sam@open.example');
  });

  test('becomes a member where the domain of the verified email is open, and only that domain', async () => {
    await server[Symbol.asyncDispose]();
    await serve({ openDomains: ['open.example'] });
    expect((await signIn('sam')).location).toBe('/account');
    expect((await signIn('sam')).location).toBe('/account');
    expect(await server.storage.identities.findUserByName('sam@open.example')).toMatchObject({ role: 'member' });
    expect((await signIn('liar')).status).toBe(403);
    expect((await signIn('mallory')).status).toBe(403);
    expect((await signIn('ida-at-work')).status).toBe(403);
  });
});

describe('what comes back', () => {
  beforeEach(async () => void (await invite(server, { name: 'ida', email: 'ida@example.com' })));

  test('is taken once', async () => {
    const browser = new Browser(server);
    const back = await atProvider(await begin(browser), 'ida-at-work');
    const { cookie } = browser;
    expect((await comeBack(browser, back)).location).toBe('/account');
    const again = await fetch(new URL(`${back.pathname}${back.search}`, server.url), { headers: { cookie } });
    expect([again.status, again.headers.get('set-cookie')]).toEqual([401, expect.stringContaining('Max-Age=0')]);
  });

  test('to a browser that did not begin is refused: nobody is signed in as somebody else', async () => {
    const back = await atProvider(await begin(new Browser(server)), 'ida-at-work');
    const victim = new Browser(server);
    expect((await comeBack(victim, back)).status).toBe(401);
    await begin(victim); // its own ticket does not help
    expect((await comeBack(victim, back)).status).toBe(401);
    expect((await victim.open('/account')).location).toBe('/login');
  });

  test.each([
    ['with another state', (url: URL) => url.searchParams.set('state', 'another')],
    ['without a state', (url: URL) => url.searchParams.delete('state')],
    ['with another code', (url: URL) => url.searchParams.set('code', 'another')],
    ['from another issuer', (url: URL) => url.searchParams.set('iss', 'https://issuer.example')],
    ['as a refusal', (url: URL) => (url.search = `?error=access_denied&state=${url.searchParams.get('state')}`)],
    ['as nonsense', (url: URL) => (url.search = '?state=%00%ff&state=x&code[]=1')],
  ])('%s is refused', async (_, change) => {
    const browser = new Browser(server);
    const back = await atProvider(await begin(browser), 'ida-at-work');
    change(back);
    const refused = await comeBack(browser, back);
    expect(refused.status).toBe(401);
    expect(browser.cookie).toBe('');
  });

  test('of a code that was begun with another proof (PKCE) is refused by the provider', async () => {
    const browser = new Browser(server);
    const url = new URL(await begin(browser));
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    url.searchParams.set('code_challenge', 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM');
    expect((await comeBack(browser, await atProvider(url.href, 'ida-at-work'))).status).toBe(401);
  });

  test('in a picture of another page, such as a preview, takes no ticket', async () => {
    const browser = new Browser(server);
    const back = await atProvider(await begin(browser), 'ida-at-work');
    const picture = { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' };
    expect((await browser.open('/login/oidc/callback?state=x', picture)).status).toBe(403);
    expect((await comeBack(browser, back)).location).toBe('/account');
  });

  test('never shows the client secret or a token in the log', async () => {
    await signIn('ida-at-work');
    await signIn('eve');
    const log = JSON.stringify(server.log);
    expect(log).toContain('somebody signed in');
    expect(log).not.toMatch(/a-secret-of-the-client|eyJ[\w-]{10}|code_verifier/);
  });
});

test('a provider that is away is said to be, however often, and nobody is kept from the password by that', async () => {
  await server[Symbol.asyncDispose]();
  await serve({ oidc: { issuer: 'http://localhost:1', clientId: 'x', clientSecret: null, clientSecretFile: null } });
  await signedIn(server);
  const away = await new Browser(server).open('/login/oidc');
  expect([away.status, away.text]).toEqual([503, expect.stringContaining('The identity provider does not answer')]);
  for (let each = 0; each < 60; each++) expect((await new Browser(server).open('/login/oidc')).status).toBe(503);
  const { location } = await new Browser(server).submit('/login', { email: 'ida@example.com', password });
  expect(location).toBe('/account');
});

/** As a page of another site sends a window that it has opened. */
const sentThere = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

test('sign-ins that are begun and left, or come back with nothing that was asked for, are no failures', async () => {
  await signedIn(server);
  const waiting = new Browser(server);
  const back = await atProvider(await begin(waiting), 'ida-at-work');
  for (let each = 0; each < 49; each++) {
    const browser = new Browser(server);
    expect((await browser.open('/login/oidc', sentThere)).status).toBe(303);
    if (each < 10) expect((await browser.open('/login/oidc/callback?code=x&state=x', sentThere)).status).toBe(401);
  }
  const refusal = new Browser(server);
  const state = new URL(await begin(refusal)).searchParams.get('state');
  expect((await refusal.open(`/login/oidc/callback?error=access_denied&state=${state}`)).status).toBe(401);
  const { location } = await new Browser(server).submit('/login', { email: 'ida@example.com', password });
  expect(location).toBe('/account');
  await begin(new Browser(server));
  expect((await comeBack(waiting, back)).status).toBe(403); // it is known, and not invited
});

test('one address has so many sign-ins at the provider; the one begun first is forgotten then', async () => {
  const [first, second] = [new Browser(server), new Browser(server)];
  const backs = [await atProvider(await begin(first), 'sam'), await atProvider(await begin(second), 'sam')] as const;
  for (let each = 0; each < 49; each++) await begin(new Browser(server));
  expect((await comeBack(first, backs[0])).status).toBe(401);
  expect((await comeBack(second, backs[1])).status).toBe(403);
});

test('codes that the provider does not know are failures of their address', async () => {
  for (let each = 0; each < 50; each++) {
    const browser = new Browser(server);
    const state = new URL(await begin(browser)).searchParams.get('state');
    expect((await browser.open(`/login/oidc/callback?code=x&state=${state}`)).status).toBe(401);
  }
  expect((await new Browser(server).open('/login/oidc')).status).toBe(429);
});

test('a provider that goes away before the person comes back is said to be away, and that is no failed attempt', async () => {
  const lost = await startProvider(accounts);
  await server[Symbol.asyncDispose]();
  const { issuer, clientId, clientSecret } = lost;
  await serve({ oidc: { issuer, clientId, clientSecret, clientSecretFile: null } });
  const browsers = Array.from({ length: 50 }, () => new Browser(server));
  const visits: [Browser, URL][] = [];
  for (const browser of browsers) {
    const back = new URL('/login/oidc/callback', server.url);
    const state = new URL(await begin(browser)).searchParams.get('state') ?? '';
    back.search = new URLSearchParams({ code: 'a-code', state, iss: issuer }).toString();
    visits.push([browser, back]);
  }
  await lost[Symbol.asyncDispose]();
  for (const [browser, back] of visits) {
    const away = await comeBack(browser, back);
    expect([away.status, away.text]).toEqual([503, expect.stringContaining('The identity provider does not answer')]);
  }
  await begin(new Browser(server)); // it is not kept from trying again
  expect(JSON.stringify(server.log)).not.toContain('provider_refused');
});

test('another page cannot use up the attempts of its visitors: it begins no sign-in', async () => {
  await signedIn(server);
  for (let each = 0; each < 60; each++) {
    const image = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' };
    expect((await new Browser(server).open('/login/oidc', image)).status).toBe(403);
  }
  const { location } = await new Browser(server).submit('/login', { email: 'ida@example.com', password });
  expect(location).toBe('/account');
  await begin(new Browser(server));
});

test('a provider that names itself otherwise is none', async () => {
  await server[Symbol.asyncDispose]();
  const issuer = provider.issuer.replace('localhost', '127.0.0.1');
  await serve({ oidc: { issuer, clientId: 'caisson', clientSecret: null, clientSecretFile: null } });
  expect((await new Browser(server).open('/login/oidc')).status).toBe(503);
});

test('the page has a way to the provider only where there is one', async () => {
  expect((await new Browser(server).open('/login')).text).toContain('href="/login/oidc"');
  await server[Symbol.asyncDispose]();
  server = await startServer();
  expect((await new Browser(server).open('/login')).text).not.toContain('/login/oidc');
  expect((await new Browser(server).open('/login/oidc')).status).toBe(400);
});
