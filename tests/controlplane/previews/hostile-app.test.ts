import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';
import { echo, startApp } from './app.ts';
import { startRawApp } from './raw-app.ts';
import { Visitor } from './visitor.ts';

let workspace: RunningWorkspace;
beforeAll(async () => {
  workspace = await startWorkspace();
});
afterAll(() => workspace[Symbol.asyncDispose]());

async function visit({ port }: { readonly port: number }): Promise<{ visitor: Visitor; origin: string }> {
  const made = await workspace.client.previews.create.mutate({ agentId: workspace.agent.id, port, access: 'shared' });
  const visitor = new Visitor(workspace.url);
  expect((await visitor.visit(made.url)).status).toBe(303);
  return { visitor, origin: made.origin };
}

const ok = 'Content-Length: 2\r\n\r\nok';

/** Answers what the path stands for, byte for byte. */
const answers: Readonly<Record<string, string>> = {
  '/control-in-reason': `HTTP/1.1 200 O\x01K\r\n${ok}`,
  '/delete-in-reason': `HTTP/1.1 200 \xe9\x7f\r\n${ok}`,
  '/no-reason': `HTTP/1.1 299\r\n${ok}`,
  '/status-0': `HTTP/1.1 000 Z\r\n${ok}`,
  '/status-99': `HTTP/1.1 099 Z\r\n${ok}`,
  '/status-101': 'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nxx',
  '/status-101-without-upgrade': `HTTP/1.1 101 S\r\n${ok}`,
  '/status-999': `HTTP/1.1 999 Z\r\n${ok}`,
  '/upgrade-offered': `HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2,h2c\r\n${ok}`,
  '/early-hints': `${'HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n'.repeat(50)}HTTP/1.1 200 OK\r\n${ok}`,
  '/trailers': 'HTTP/1.1 200 OK\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n',
  '/names-of-objects': `HTTP/1.1 200 OK\r\n__proto__: x\r\nconstructor: y\r\ntoString: z\r\nx-kept: 1\r\n${ok}`,
  '/all-headers-hop-by-hop': `HTTP/1.1 200 OK\r\nConnection: content-length, set-cookie, date\r\n${ok}`,
  '/body-of-204': `HTTP/1.1 204 NC\r\n${ok}`,
  '/header-flood': `HTTP/1.1 200 OK\r\n${Array.from({ length: 300 }, (_, n) => `X-${n}: ${'a'.repeat(100)}\r\n`).join('')}${ok}`,
};

describe('an app that answers with', () => {
  const start = async () =>
    await startRawApp({
      onRequest(head, socket) {
        const path = head.split(' ')[1] ?? '';
        socket.end(Buffer.from(answers[path] ?? '', 'latin1'));
      },
    });

  test.each([
    ['/control-in-reason', 200],
    ['/delete-in-reason', 200],
    ['/no-reason', 299],
    ['/status-0', 502],
    ['/status-99', 502],
    ['/status-101', 502],
    ['/status-101-without-upgrade', 502],
    ['/status-999', 999],
    ['/upgrade-offered', 200],
    ['/early-hints', 200],
    ['/trailers', 200],
    ['/names-of-objects', 200],
    ['/all-headers-hop-by-hop', 200],
    ['/body-of-204', 204],
    ['/header-flood', 502],
  ])('%s is answered with %i to a visitor', async (path, status) => {
    await using app = await start();
    const { visitor, origin } = await visit(app);
    const answer = await visitor.visit(`${origin}${path}`);
    expect(answer.status).toBe(status);
    if (status === 502) expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'GUEST_PROTOCOL' } });
    else expect(answer.text).toBe(status === 204 ? '' : 'ok');
    expect(JSON.stringify(answer.headers)).not.toContain('upgrade');
    // One that has no content has no length, either.
    expect(status === 204 && 'content-length' in answer.headers).toBe(false);
  });

  test.each([
    ['/control-in-reason', 'HTTP/1.1 200 OK'],
    ['/no-reason', 'HTTP/1.1 299 unknown'],
    ['/status-0', 'HTTP/1.1 502 Bad Gateway'],
    ['/status-99', 'HTTP/1.1 502 Bad Gateway'],
    ['/status-101-without-upgrade', 'HTTP/1.1 502 Bad Gateway'],
    ['/trailers', 'HTTP/1.1 200 OK'],
    ['/header-flood', 'HTTP/1.1 502 Bad Gateway'],
  ])('%s is answered with %s to a visitor that wants a WebSocket', async (path, line) => {
    await using app = await start();
    const { visitor, origin } = await visit(app);
    expect((await visitor.raw(upgradeOf(visitor, origin, path))).split('\r\n')[0]).toBe(line);
  });
});

function upgradeOf(visitor: Visitor, origin: string, path = '/'): string {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${new URL(origin).host}`,
    `Cookie: ${visitor.cookie(origin)}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    '',
    '',
  ].join('\r\n');
}

describe('an answer to an upgrade request', () => {
  const forbidden = [
    'Set-Cookie: caisson-preview=junk; Domain=preview.localhost; Path=/',
    'Set-Cookie: theme=dark; Domain=preview.localhost',
    'Alt-Svc: h2=":1"',
    'Caisson-Preview-Page: 1',
  ].join('\r\n');

  test.each([
    ['101 Sw\x01', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: abc\r\nContent-Length: 5\r\n'],
    ['200 OK', 'Content-Length: 0\r\n'],
    ['404 Not\x01', 'Content-Length: 0\r\n'],
  ])('of status %s passes the same filter as any other', async (status, more) => {
    await using app = await startRawApp({
      onRequest: (_head, socket) => socket.end(`HTTP/1.1 ${status}\r\n${forbidden}\r\n${more}X-Own: kept\r\n\r\n`),
    });
    const { visitor, origin } = await visit(app);
    const answer = await visitor.raw(upgradeOf(visitor, origin));
    expect(answer).toContain(`HTTP/1.1 ${status.slice(0, 3)} `);
    expect(answer).toContain('set-cookie: theme=dark\r\n');
    expect(answer).toContain('x-own: kept\r\n');
    expect(answer).not.toMatch(/junk|domain=|alt-svc|caisson-preview-page/i);
    expect(answer).not.toContain('\x01');
    expect(answer.includes('sec-websocket-accept: abc\r\n')).toBe(status.startsWith('101'));
    expect(answer.includes('content-length: 5\r\n')).toBe(false);
    expect(/connection: upgrade\r\nupgrade: websocket/i.test(answer)).toBe(status.startsWith('101'));
  });

  test('that comes in chunks stays whole, and one that is cut is no whole one', async () => {
    await using app = await startRawApp({
      onRequest(head, socket) {
        const isWhole = head.startsWith('GET /whole');
        socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n${isWhole ? '0\r\n\r\n' : ''}`);
      },
    });
    const { visitor, origin } = await visit(app);
    expect(await visitor.raw(upgradeOf(visitor, origin, '/whole'))).toMatch(/\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
    expect(await visitor.raw(upgradeOf(visitor, origin, '/cut'))).not.toContain('0\r\n\r\n');
  });

  test('is told why when no app listens, as JSON', async () => {
    const app = await startApp(echo);
    const { visitor, origin } = await visit(app);
    await app[Symbol.asyncDispose]();
    expect(await visitor.raw(upgradeOf(visitor, origin))).toMatch(/^HTTP\/1\.1 502 [^]*PORT_NOT_LISTENING/);
  });

  test('closes the connection of a visitor who keeps its own half open', async () => {
    await using app = await startApp(echo);
    const { visitor, origin } = await visit(app);
    const { host } = new URL(origin);
    for (const request of [
      upgradeOf(visitor, origin), // the app answers 200
      upgradeOf(new Visitor(workspace.url), origin), // refused: no cookie
      upgradeOf(visitor, origin).replace(host, `1-${host.slice(host.indexOf('-') + 1)}`), // refused: another's cookie
    ]) {
      const socket = connect({ port: Number(new URL(workspace.url).port), host: '127.0.0.1', allowHalfOpen: true });
      let isReset = false;
      socket.on('error', () => (isReset = true));
      socket.resume().write(request);
      await once(socket, 'end');
      // A half that is open would take this for ever.
      await until('the connection is closed', () => {
        if (!isReset) socket.write('x');
        return isReset;
      });
      socket.destroy();
    }
  });

  test('no page is written into a WebSocket whose app breaks off', async () => {
    await using app = await startRawApp({
      onRequest(_head, socket) {
        socket.write('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello', () =>
          socket.resetAndDestroy(),
        );
      },
    });
    const { visitor, origin } = await visit(app);
    for (let n = 0; n < 10; n++) {
      expect(await visitor.raw(upgradeOf(visitor, origin))).not.toContain('GUEST_PROTOCOL');
    }
  });
});

describe('an app that closes connections', () => {
  test.each([
    ['resets', 'before it reads'],
    ['ends', 'before it reads'],
    ['resets', 'behind its answer'],
    ['ends', 'in the middle of a head'],
    ['resets', 'in the middle of a head'],
    ['resets', 'in the middle of a body'],
  ])('which %s them %s leaves no visitor waiting, 50 times', async (how, when) => {
    const close = (socket: { end(): void; resetAndDestroy(): void }): void =>
      how === 'ends' ? socket.end() : socket.resetAndDestroy();
    const parts: Readonly<Record<string, string>> = {
      'behind its answer': `HTTP/1.1 200 OK\r\n${ok}`,
      'in the middle of a head': 'HTTP/1.1 200 OK\r\nContent-Le',
      'in the middle of a body': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
    };
    await using app = await startRawApp({
      onConnection: (socket) => when === 'before it reads' && close(socket),
      onRequest: (_head, socket) => socket.write(parts[when] ?? '', () => close(socket)),
    });
    const { visitor, origin } = await visit(app);
    const ask = async (): Promise<unknown> =>
      await visitor.visit(origin).then(
        ({ status }) => status,
        () => 'cut',
      );
    for (let n = 0; n < 50; n++)
      expect(await ask()).toBeOneOf(when === 'behind its answer' ? [200, 502, 'cut'] : [502, 'cut']);
    for (let n = 0; n < 10; n++) await visitor.raw(upgradeOf(visitor, origin));
  });

  test('a GET with a body is not sent twice', async () => {
    const bodies: string[] = [];
    await using app = await startApp((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        if (request.url === '/') return void response.end('ok');
        bodies.push(body);
        request.socket.resetAndDestroy();
      });
    });
    const { visitor, origin } = await visit(app);
    expect((await visitor.visit(origin)).status).toBe(200); // its connection is used again
    expect((await visitor.visit(`${origin}/x`, { headers: { 'content-length': '4' }, body: 'body' })).status).toBe(502);
    expect(bodies).toEqual(['body']);
  });
});
