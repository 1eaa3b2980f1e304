import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { startApp } from '../previews/app.ts';
import { Visitor } from '../previews/visitor.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';
import { until } from '../../until.ts';
import { Browser } from './browser.ts';

const password = 'correct horse battery';
let workspace: RunningWorkspace;
let admin: CaissonClient;
let made = 0;
/** Of somebody who has just signed in, and for whom there is an agent to look at. */
let browser: Browser;
let user: { readonly id: string; readonly name: string };
let agentId: string;

beforeAll(async () => {
  workspace = await startWorkspace();
  admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
  agentId = workspace.agent.id;
});
afterAll(() => workspace[Symbol.asyncDispose]());
beforeEach(async () => {
  const name = `person-${++made}`;
  const invited = await admin.users.invite.mutate({ name, email: `${name}@example.com` });
  ({ user } = invited);
  browser = new Browser(workspace);
  await browser.submit('/invitation', { invitation: invited.invitation, password, repeated: password });
  await workspace.client.agents.share.mutate({ agentId, user: name, role: 'editor' });
});

interface Open {
  /** Resolves when it has been ended by the server. */
  readonly ended: Promise<unknown>;
}

async function openSubscription(): Promise<Open> {
  const input = encodeURIComponent(JSON.stringify({ agentId }));
  const headers = { cookie: browser.cookie, 'sec-fetch-site': 'same-origin' };
  const response = await fetch(`${workspace.url}/trpc/events.subscribe?input=${input}`, { headers });
  expect(response.status).toBe(200);
  return { ended: response.text() };
}

async function openSocket(): Promise<Open> {
  const { id: terminalId } = await workspace.client.terminals.open.mutate({ agentId });
  const url = `${workspace.url.replace('http', 'ws')}/v1/agents/${agentId}/terminals/${terminalId}?token=${'t'.repeat(16)}`;
  const headers = { cookie: browser.cookie, origin: workspace.url };
  const socket = new WebSocket(url, 'caisson.v1', { headers });
  await once(socket, 'open');
  return { ended: once(socket, 'close').then(([code, reason]) => `${code} ${String(reason)}`) };
}

const ends: Readonly<Record<string, () => Promise<unknown>>> = {
  'signs out': () => browser.submit('/logout', {}),
  'signs out everywhere': () => browser.submit('/logout/everywhere', {}),
  'changes the password': () => browser.submit('/account/password', { current: password, next: `${password} staple` }),
  'signs in anew': () => browser.submit('/login', { email: `${user.name}@example.com`, password }),
  'is disabled': () => admin.users.disable.mutate({ userId: user.id }),
  'is deleted': () => admin.users.delete.mutate({ userId: user.id }),
  'sets a new password by a link': async () => {
    const { invitation } = await admin.users.resetLogin.mutate({ userId: user.id });
    await new Browser(workspace).submit('/invitation', { invitation, password, repeated: password });
  },
};

describe('subscriptions and sockets of a session end', () => {
  test.each(Object.entries(ends))(
    'when its user %s',
    async (_, end) => {
      const open = [await openSubscription(), await openSocket()];
      const { cookie } = browser;
      await end();
      const [events, closed] = await Promise.all(open.map(({ ended }) => ended));
      expect(events).toMatch(/This session has ended\.[^]*UNAUTHORIZED/);
      expect(closed).toBe('1008 This session has ended.');
      const headers = { cookie, 'sec-fetch-site': 'same-origin' };
      const late = await fetch(`${workspace.url}/trpc/agents.list?input={}`, { headers });
      expect(late.status).toBe(401);
      const told = await late.text();
      expect(told).toContain('This session has ended.');
      expect(told).toContain('Sign in again, at /login.');
    },
    60_000,
  );
});

test('the previews that were made in a session end with it', async () => {
  await using app = await startApp((_request, response) => response.end('hello'));
  const headers = { 'content-type': 'application/json', origin: workspace.url };
  const body = JSON.stringify({ agentId, port: app.port, access: 'shared' });
  const { text } = await browser.call('previews.create', { method: 'POST', headers, body });
  const { url, origin } = (JSON.parse(text) as { result: { data: { url: string; origin: string } } }).result.data;
  const visitor = new Visitor(workspace.url);
  expect((await visitor.open(url)).text).toBe('hello');
  await browser.submit('/logout', {});
  await until('the preview is over', async () => (await visitor.visit(origin)).status !== 200);
});
