import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { requireSameOrigin } from '../../../src/controlplane/login/same-origin.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { type RunningServer, startServer } from '../running-server.ts';
import type { Browser } from './browser.ts';
import { signedIn } from './people.ts';

let server: RunningServer;
let ida: Browser;
let preview: string;
beforeAll(async () => {
  server = await startServer();
  ida = await signedIn(server);
  preview = `http://5173-${newAgentId()}.preview.localhost:${new URL(server.url).port}`;
});
afterAll(() => server[Symbol.asyncDispose]());

async function send(path: string, headers: Record<string, string>, method = 'POST'): Promise<number> {
  const { cookie } = ida;
  const body = method === 'POST' ? JSON.stringify({ name: `a${Math.random()}`.replace('.', '') }) : null;
  const sent = { cookie, ...(method === 'POST' && { 'content-type': 'application/json' }), ...headers };
  const init: RequestInit = { method, headers: sent, body, redirect: 'manual' };
  const response = await fetch(`${server.url}${path}`, init);
  await response.arrayBuffer();
  return response.status;
}

const own = (): string => server.url;
const foreign = [
  ['a preview', () => ({ origin: preview, 'sec-fetch-site': 'same-site' })],
  ['a preview whose browser says nothing of sites', () => ({ origin: preview })],
  ['another site', () => ({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })],
  ['a sandboxed frame', () => ({ origin: 'null', 'sec-fetch-site': 'cross-site' })],
  ['another port', () => ({ origin: 'http://127.0.0.1:1' })],
  ['another scheme', () => ({ origin: own().replace('http:', 'https:') })],
  ['a page that hides its origin', () => ({ 'sec-fetch-site': 'same-site' })],
  ['our own origin, where the browser says otherwise', () => ({ origin: own(), 'sec-fetch-site': 'cross-site' })],
] as const;

describe('with the cookie of somebody', () => {
  test.each(foreign)('%s calls nothing, reads nothing, and opens no subscription', async (_, headers) => {
    expect(await send('/trpc/agents.create', headers())).toBe(403);
    expect(await send('/trpc/agents.list?input={}', headers(), 'GET')).toBe(403);
    const agentId = newAgentId();
    const input = encodeURIComponent(JSON.stringify({ agentId }));
    const events = await fetch(`${server.url}/trpc/events.subscribe?input=${input}`, {
      headers: { cookie: ida.cookie, ...headers() },
    });
    expect(await events.text()).toContain('FORBIDDEN');
    expect(await send(`/v1/agents/${agentId}/file?path=x`, headers(), 'GET')).toBe(403);
    expect(await send(`/v1/agents/${agentId}/file?path=x`, headers(), 'PUT')).toBe(403);
  });

  test.each(foreign)('%s neither signs in nor out', async (_, headers) => {
    for (const path of [
      '/login',
      '/invitation',
      '/account/password',
      '/account/sessions',
      '/logout',
      '/logout/everywhere',
    ]) {
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      expect(await send(path, { ...form, ...headers() })).toBe(403);
    }
    expect((await ida.open('/account')).status).toBe(200);
  });

  test('nobody changes anything without saying where it comes from', async () => {
    expect(await send('/trpc/agents.create', {})).toBe(403);
    expect(await send('/logout', { 'content-type': 'application/x-www-form-urlencoded' })).toBe(403);
  });

  test('our own pages call, and a person who types the address reads', async () => {
    expect(await send('/trpc/agents.create', { origin: own(), 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await send('/trpc/agents.create', { 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await send('/trpc/agents.list?input={}', { 'sec-fetch-site': 'none' }, 'GET')).toBe(200);
    expect(await send('/trpc/agents.list?input={}', {}, 'GET')).toBe(200);
    expect(await send('/trpc/agents.create', { 'sec-fetch-site': 'none' })).toBe(403);
  });

  test('a link from elsewhere shows the account, and a frame or a script there does not', async () => {
    const visit = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await ida.open('/account', visit)).status).toBe(200);
    expect((await ida.open('/account', { ...visit, 'sec-fetch-dest': 'iframe' })).location).toBe('/login');
    expect((await ida.open('/account', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' })).location).toBe(
      '/login',
    );
  });

  test('no call that changes something is a GET', async () => {
    const input = encodeURIComponent(JSON.stringify({}));
    expect(await send(`/trpc/sessions.revokeAll?input=${input}`, { 'sec-fetch-site': 'same-origin' }, 'GET')).toBe(405);
    expect(await send('/logout', { 'sec-fetch-site': 'same-origin' }, 'GET')).toBe(404);
    expect((await ida.open('/account')).status).toBe(200);
  });
});

describe('a web socket with the cookie of somebody', () => {
  async function open(headers: Record<string, string>): Promise<number> {
    const url = `${server.url.replace('http', 'ws')}/v1/agents/${newAgentId()}/ports/80/connect`;
    const socket = new WebSocket(url, 'caisson.v1', { headers: { cookie: ida.cookie, ...headers } });
    socket.on('error', () => undefined);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    return response.statusCode;
  }

  test.each(foreign)('is not opened by %s', async (_, headers) => {
    expect(await open(headers())).toBe(403);
  });

  test('is not opened without an origin, which browsers always send', async () => {
    expect(await open({})).toBe(403);
    expect(await open({ 'sec-fetch-site': 'same-origin' })).toBe(403);
  });

  test('is opened by our own pages, as far as its agent lets it', async () => {
    expect(await open({ origin: own() })).toBe(404); // there is no such agent
  });

  test('with a key is asked for the key alone', async () => {
    expect(await open({ authorization: `Bearer ${server.alice.secret}`, origin: preview })).toBe(404);
    expect(await open({ authorization: 'Bearer ck_wrong', origin: own() })).toBe(401);
  });
});

test('a key is taken from wherever it is sent, as before, and with a wrong one the cookie does not help', async () => {
  const origin = preview;
  expect(await send('/trpc/agents.create', { authorization: `Bearer ${server.alice.secret}`, origin })).toBe(200);
  expect(await send('/trpc/agents.create', { authorization: 'Bearer ck_wrong', origin: own() })).toBe(401);
});

describe('behind a proxy with TLS', () => {
  test('the cookie is of this host alone, goes over TLS only, and the public address is the origin', async () => {
    await using secure = await startServer({ login: { publicUrl: 'https://caisson.example.com' } });
    const { data } = await secure.mutate(secure.admin, 'users.invite', { name: 'ida', email: 'ida@example.com' });
    const { invitation, url } = data as { invitation: string; url: string };
    expect(url).toBe(`https://caisson.example.com/invitation#${invitation}`);
    const submit = async (path: string, origin: string, cookie = ''): Promise<Response> =>
      await fetch(`${secure.url}${path}`, {
        method: 'POST',
        headers: { origin, cookie },
        body: new URLSearchParams({ invitation, password: 'a long password', repeated: 'a long password' }),
        redirect: 'manual',
      });
    expect((await submit('/invitation', secure.url)).status).toBe(403);
    expect((await submit('/invitation', 'https://5173-agt.preview.example.com')).status).toBe(403);
    const accepted = await submit('/invitation', 'https://caisson.example.com');
    const header = accepted.headers.get('set-cookie') ?? '';
    expect(header).toMatch(
      /^__Host-caisson-session=cs_[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/,
    );
    const cookie = header.split(';')[0] ?? '';
    const shown = async (sent: string): Promise<number> =>
      (await fetch(`${secure.url}/account`, { headers: { cookie: sent }, redirect: 'manual' })).status;
    expect(await shown(cookie)).toBe(200);
    // What another host of the domain can set is not looked at.
    expect(await shown(cookie.replace('__Host-', ''))).toBe(303);
  });
});

test('where the control plane is reached by another name than loopback, nobody signs in', async () => {
  await using open = await startServer({ settings: { host: '0.0.0.0' } });
  const url = open.url.replace('0.0.0.0', '127.0.0.1');
  const port = new URL(url).port;
  const { request } = await import('node:http');
  const status = await new Promise((resolve, reject) => {
    const asked = request(`${url}/login`, { headers: { host: `caisson.lan:${port}` } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.once('error', reject).end();
  });
  expect(status).toBe(403);
  expect((await fetch(`${url}/login`)).status).toBe(200);
});

test.each(['GET', 'HEAD'])('%s without any word is let through: nobody else can read the answer', (method) => {
  expect(() => requireSameOrigin({ method, headers: {} }, 'http://localhost:7070')).not.toThrow();
  expect(() => requireSameOrigin({ method, headers: {} }, undefined)).toThrow('another site');
});
