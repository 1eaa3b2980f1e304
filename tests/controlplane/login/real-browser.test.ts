import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ensureChromium } from '../../../scripts/chromium.ts';
import { type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { type App, startApp } from '../previews/app.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';
import { type RunningProvider, startProvider } from './running-provider.ts';

const password = 'correct horse battery';
/** Where pictures of what the browser shows go, for people to look at. */
const pictures = process.env['CAISSON_TEST_PICTURES'];

let provider: RunningProvider;
let workspace: RunningWorkspace;
let admin: CaissonClient;
let chrome: Browser;
let context: BrowserContext;
let page: Page;
/** The control plane as browsers reach it. */
let home: string;

beforeAll(async () => {
  provider = await startProvider(new Map([['olga', { email: 'olga@example.com', isVerified: true }]]));
  workspace = await startWorkspace({
    CAISSON_OIDC_ISSUER: provider.issuer,
    CAISSON_OIDC_CLIENT_ID: provider.clientId,
    CAISSON_OIDC_CLIENT_SECRET: provider.clientSecret,
  });
  home = workspace.url.replace('127.0.0.1', 'localhost');
  admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
  chrome = await chromium.launch({
    executablePath: await ensureChromium(() => undefined),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
}, 300_000);
afterAll(async () => {
  await chrome.close();
  await workspace[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
}, 120_000);
beforeEach(async () => {
  context = await chrome.newContext({ viewport: { width: 1024, height: 900 } });
  context.setDefaultTimeout(60_000);
  page = await context.newPage();
});
afterEach(() => context.close());

async function picture(name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`) });
}

async function heading(text: string): Promise<void> {
  await page.getByRole('heading', { name: text, exact: true }).waitFor();
}

/** Opens an invitation, and is signed in. */
async function enter(name: string): Promise<void> {
  const { url } = await admin.users.invite.mutate({ name, email: `${name}@example.com` });
  await page.goto(url ?? '');
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Once more').fill(password);
  await page.getByRole('button', { name: 'Set the password and sign in' }).click();
  await heading(`You are ${name}`);
}

test('a person sets a password by the link of an invitation, signs out, and signs in', async () => {
  const { url } = await admin.users.invite.mutate({ name: 'ida', email: 'ida@example.com' });
  await page.goto(url ?? '');
  await heading('Choose your password');
  // The secret is no longer in the address, and nobody has to look at it.
  await expect.poll(() => page.url()).toBe(`${home}/invitation`);
  expect(await page.getByLabel('Invitation').isVisible()).toBe(false);
  await picture('invitation');
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Once more').fill('correct horse batter');
  await page.getByRole('button').click();
  await page.getByText('The two passwords are not the same.').waitFor();
  expect(await page.getByLabel('Invitation').isVisible()).toBe(false);
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Once more').fill(password);
  await page.getByRole('button').click();
  await heading('You are ida');
  await picture('account');
  expect(await page.evaluate('document.cookie')).toBe('');

  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await heading('Sign in');
  await picture('sign-in');
  await page.getByLabel('Email').fill('ida@example.com');
  await page.getByLabel('Password').fill('not this one');
  await page.getByRole('button').click();
  await page.getByRole('alert').waitFor();
  await picture('sign-in-refused');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button').click();
  await heading('You are ida');
  // Any page of our own origin calls the API with nothing but the cookie; those of sign-in let no script connect.
  await page.goto(`${home}/healthz`);
  const listed = await page.evaluate(`fetch('/trpc/agents.list?input={}').then((answer) => answer.status)`);
  expect(listed).toBe(200);
}, 180_000);

test('an invitation that is refused is shown, and no address breaks the page', async () => {
  const errors: Error[] = [];
  page.on('pageerror', (error) => errors.push(error));
  await page.goto(`${home}/invitation#ci_not%E0%A4%A`);
  await expect.poll(() => page.url()).toBe(`${home}/invitation`);
  expect(await page.getByLabel('Invitation').isVisible()).toBe(false);
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Once more').fill(password);
  await page.getByRole('button', { name: 'Set the password and sign in' }).click();
  await page.getByText('There is no such invitation').waitFor();
  expect(await page.getByLabel('Invitation').isVisible()).toBe(true);
  expect(await page.getByLabel('Invitation').inputValue()).toBe('ci_not%E0%A4%A');
  expect(errors).toEqual([]);
}, 180_000);

test('a person signs in at the OpenID Connect provider', async () => {
  await admin.users.invite.mutate({ name: 'olga', email: 'olga@example.com' });
  await page.goto(`${home}/login`);
  await page.getByRole('link', { name: 'Continue with your organization' }).click();
  await page.locator('input[name=account]').fill('olga');
  await page.getByRole('button').click();
  await heading('You are olga');
  await page.getByText('by your organization').waitFor();
  await page.goto(`${home}/login`);
  await heading('You are olga');
}, 180_000);

test('an app in a preview gets no cookie of the control plane, and does nothing with it', async () => {
  const cookies: (string | undefined)[] = [];
  await using app: App = await startApp((request, response) => {
    cookies.push(request.headers.cookie);
    response.setHeader('content-type', 'text/html').end('<title>app</title><p>an app of the agent</p>');
  });
  await enter('eva');
  const sessions = await context.cookies(home);
  expect(sessions).toMatchObject([{ name: 'caisson-session', httpOnly: true, sameSite: 'Lax', domain: 'localhost' }]);
  const link = await workspace.client.previews.create.mutate({
    agentId: workspace.agent.id,
    port: app.port,
    access: 'shared',
  });
  await page.goto(link.url);
  await page.getByText('an app of the agent').waitFor();
  expect(page.url()).toContain('.preview.localhost');
  expect(cookies.join()).not.toContain('caisson-session');

  // Whatever the app tries, as far as a browser lets it.
  const outcomes = await page.evaluate(`(async () => {
    const home = ${JSON.stringify(home)};
    const attempt = (work) => work.then((value) => 'answered ' + value, () => 'refused');
    const call = (path, init) => attempt(fetch(home + path, { credentials: 'include', ...init }).then((answer) => answer.type + ' ' + answer.status));
    const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'stolen' }) };
    document.cookie = 'caisson-session=cs_planted; domain=localhost; path=/';
    const socket = new Promise((resolve) => {
      const opened = new WebSocket(home.replace('http', 'ws') + '/v1/agents/${workspace.agent.id}/ports/80/connect', 'caisson.v1');
      opened.onopen = () => resolve('opened');
      opened.onerror = () => resolve('refused');
    });
    const events = new Promise((resolve) => {
      const source = new EventSource(home + '/trpc/events.subscribe?input=' + encodeURIComponent('{"agentId":"${workspace.agent.id}"}'), { withCredentials: true });
      source.onopen = () => resolve('opened');
      source.onerror = () => { source.close(); resolve('refused'); };
    });
    return {
      read: await call('/trpc/agents.list?input={}'),
      json: await call('/trpc/agents.create', json),
      plain: await call('/trpc/agents.create', { method: 'POST', mode: 'no-cors', body: json.body }),
      signOut: await call('/logout/everywhere', { method: 'POST', mode: 'no-cors', body: new URLSearchParams() }),
      account: await call('/account'),
      socket: await socket,
      events: await events,
    };
  })()`);
  expect(outcomes).toEqual({
    read: 'refused',
    json: 'refused',
    plain: 'answered opaque 0',
    signOut: 'answered opaque 0',
    account: 'refused',
    socket: 'refused',
    events: 'refused',
  });
  // By a form, which takes the person along.
  await page.evaluate(`(() => {
    const form = document.createElement('form');
    Object.assign(form, { method: 'post', action: ${JSON.stringify(`${home}/logout/everywhere`)} });
    document.body.append(form);
    form.submit();
  })()`);
  await page.getByText('comes from another site').waitFor();

  await page.goto(`${home}/account`);
  await heading('You are eva');
  const { items } = await admin.agents.list.query();
  expect(items.map(({ name }) => name)).not.toContain('stolen');
}, 180_000);
