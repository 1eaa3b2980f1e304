import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';
import { type App, echo, startApp } from './app.ts';
import { Visitor } from './visitor.ts';

/** What a proxy with TLS, which is trusted, sends here on behalf of visitors of https://….preview.example.com:8443. */
let workspace: RunningWorkspace;
let app: App;
let sockets: WebSocketServer;
beforeAll(async () => {
  workspace = await startWorkspace({
    CAISSON_PREVIEW_DOMAIN: 'preview.example.com',
    CAISSON_PREVIEW_URL: 'https://preview.example.com:8443',
    CAISSON_TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8, fd00::/8',
  });
  app = await startApp(echo);
  sockets = new WebSocketServer({ server: app.server });
  sockets.on('connection', (socket, request) => socket.send(JSON.stringify(request.headers)));
});
afterAll(async () => {
  for (const socket of sockets.clients) socket.terminate();
  await app[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

async function visit(): Promise<{ visitor: Visitor; origin: string; cookie: string }> {
  const made = await workspace.client.previews.create.mutate({
    agentId: workspace.agent.id,
    port: app.port,
    access: 'shared',
  });
  const visitor = new Visitor(workspace.url);
  const answer = await visitor.visit(made.url);
  expect(answer.status).toBe(303);
  expect(answer.headers.location).toBe(`${made.origin}/`);
  return { visitor, origin: made.origin, cookie: answer.headers['set-cookie']?.[0] ?? '' };
}

async function headersAt(visitor: Visitor, origin: string, headers: Readonly<Record<string, string>> = {}) {
  const answer = await visitor.visit(origin, { headers });
  expect(answer.status).toBe(200);
  return (JSON.parse(answer.text) as { headers: Record<string, string> }).headers;
}

describe('over HTTPS', () => {
  test('links are of the address that browsers reach, and the cookie is one that no other host can set', async () => {
    const { origin, cookie } = await visit();
    expect(origin).toBe(`https://${app.port}-${workspace.agent.id}.preview.example.com:8443`);
    expect(cookie).toMatch(
      /^__Host-caisson-preview=pvw-\S+; Path=\/; Max-Age=3[56]\d\d; HttpOnly; SameSite=Lax; Secure$/,
    );
  });

  test('the app is told of HTTPS and of the public port, and not of the cookie', async () => {
    const { visitor, origin } = await visit();
    const headers = await headersAt(visitor, origin, { cookie: `${visitor.cookie(origin)}; a=1` });
    expect(headers).toMatchObject({
      host: new URL(origin).host,
      'x-forwarded-host': new URL(origin).host,
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '8443',
      cookie: 'a=1',
    });
  });

  test('the name without __Host-, which other hosts of the domain can set, opens nothing and reaches no app', async () => {
    const { visitor, origin } = await visit();
    const cookie = visitor.cookie(origin) ?? '';
    const plain = cookie.replace('__Host-', '');
    visitor.setCookie(origin, plain);
    expect((await visitor.visit(origin)).status).toBe(403);
    visitor.setCookie(origin, `${plain}; ${cookie}; a=1`);
    expect((await headersAt(visitor, origin))['cookie']).toBe('a=1');
  });

  test('a WebSocket of the same origin is let in', async () => {
    const { visitor, origin } = await visit();
    const socket = visitor.socket(origin, { origin, 'x-forwarded-for': '203.0.113.9' });
    const [message] = (await once(socket, 'message')) as [Buffer];
    expect(JSON.parse(message.toString())).toMatchObject({ 'x-forwarded-for': '203.0.113.9', origin });
    socket.terminate();
  });
});

test.each([
  ['none', undefined, '127.0.0.1'],
  ['one', '203.0.113.9', '203.0.113.9'],
  ['one of IPv6', '2001:db8::9', '2001:db8::9'],
  ['one of IPv4 in IPv6', '::ffff:203.0.113.9', '203.0.113.9'],
  ['one behind proxies that are trusted as well', '203.0.113.9, fd00::7, 10.1.2.3', '203.0.113.9'],
  ['one before which somebody forged others', '1.1.1.1, 10.0.0.1, 203.0.113.9, 10.1.2.3', '203.0.113.9'],
  ['nothing but trusted ones', '10.0.0.1', '10.0.0.1'],
  ['what is no address', '203.0.113.9, <script>, 10.1.2.3', '10.1.2.3'],
])(
  'of the addresses that a trusted proxy names the app gets the last that is not trusted: %s',
  async (_, sent, got) => {
    const { visitor, origin } = await visit();
    const headers = await headersAt(visitor, origin, { ...(sent !== undefined && { 'x-forwarded-for': sent }) });
    expect(headers['x-forwarded-for']).toBe(got);
  },
);
