import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import type { Calls } from '../../../src/client/calls.ts';
import { createEndpoint } from '../../../src/client/endpoint.ts';
import { spawn } from '../../../src/client/processes/spawn.ts';
import { OpenCalls } from '../../../src/controlplane/api/open-calls.ts';
import type { Principal } from '../../../src/controlplane/auth/identity.ts';
import type { Identify } from '../../../src/controlplane/http/admit.ts';
import { serveWebSockets, type WebSocketRoute } from '../../../src/controlplane/http/web-sockets.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { noAudit } from '../no-audit.ts';
import { aPrincipal } from '../principals.ts';

const key = 'ck_test-key_0123';
const alice = aPrincipal();
const carrier = `base64url.bearer.authorization.caisson.${Buffer.from(key).toString('base64url')}`;

let server: Server;
let url: string;
let subscriptions: OpenCalls;
let signals: AbortSignal[];
/** Accepts the handshakes that wait for it. */
let accepted: PromiseWithResolvers<void>;
let seen: { params: unknown; query: string; principal: Principal }[];
let served: WebSocket[];

/** A process that never starts. */
const attach: WebSocketRoute = {
  path: '/v1/agents/:agentId/processes/attach',
  needs: 'use',
  accept: async () => () => undefined,
};

/** Sends back what it is sent. */
const echo: WebSocketRoute = {
  path: '/v1/echo/:name/end',
  needs: 'view',
  async accept({ params, query, demand: { principal }, signal }) {
    if (query.get('refuse') !== null) throw new CaissonError('AGENT_NOT_FOUND', 'There is no agent here.');
    signals.push(signal);
    seen.push({ params, query: query.toString(), principal });
    if (query.get('later') !== null) await accepted.promise;
    return (socket) => {
      served.push(socket);
      socket.on('message', (data, binary) => socket.send(data, { binary }));
    };
  },
};

const identify: Identify = async ({ headers: { authorization } }) => {
  if (authorization === `Bearer ${key}`) return alice;
  throw new CaissonError('UNAUTHORIZED', 'The API key is not valid.');
};

async function serve(options: { readonly pingEveryMs?: number; readonly ready?: Promise<void> } = {}): Promise<void> {
  server = createServer();
  subscriptions = new OpenCalls({ what: 'subscriptions', limits: { perKey: 2, inAll: 10 } });
  signals = [];
  accepted = Promise.withResolvers();
  seen = [];
  served = [];
  server.on(
    'upgrade',
    serveWebSockets({
      ...noAudit,
      routes: [echo, attach],
      isAcceptedHost: (host) => host?.startsWith('127.0.0.1') === true,
      admit: identify,
      identify,
      ready: Promise.resolve(),
      subscriptions,
      logger: silentLogger,
      ...options,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeEach(() => serve());
afterEach(() => {
  subscriptions.endAll(new CaissonError('DRAINING', 'The test is over.'));
  server.closeAllConnections();
  server.close();
});

const withKey: ClientOptions = { headers: { authorization: `Bearer ${key}` } };

async function open(
  path: string,
  protocols: string[] = ['caisson.v1'],
  options: ClientOptions = withKey,
): Promise<WebSocket> {
  const socket = new WebSocket(`${url}${path}`, protocols, options);
  await once(socket, 'open');
  return socket;
}

/** How a handshake was refused. */
async function refusal(path: string, protocols: string[] = ['caisson.v1'], options: ClientOptions = withKey) {
  const socket = new WebSocket(`${url}${path}`, protocols, options);
  socket.on('error', () => undefined);
  const response = await new Promise<IncomingMessage>((resolve) =>
    socket.once('unexpected-response', (_request, answer) => resolve(answer)),
  );
  let text = '';
  for await (const chunk of response) text += String(chunk);
  socket.terminate();
  return {
    status: response.statusCode,
    code: (JSON.parse(text) as { error: { data: { caisson: { code: string } } } }).error.data.caisson.code,
  };
}

describe('a handshake', () => {
  test('with the key in a header opens the socket, with the parameters of its path', async () => {
    const socket = await open('/v1/echo/a%20b/end?x=1');
    expect(socket.protocol).toBe('caisson.v1');
    socket.send('hello');
    const [data] = (await once(socket, 'message')) as [Buffer];
    expect(String(data)).toBe('hello');
    expect(seen).toEqual([{ params: { name: 'a b' }, query: 'x=1', principal: alice }]);
  });

  test('with the key as a subprotocol, as browsers must, does too, and the key is not sent back', async () => {
    const socket = await open('/v1/echo/a/end', ['caisson.v1', carrier], {});
    expect(socket.protocol).toBe('caisson.v1');
  });

  test.each([
    ['no key', '/v1/echo/a/end', ['caisson.v1'], {}, 401, 'UNAUTHORIZED'],
    ['a wrong key', '/v1/echo/a/end', ['caisson.v1'], { headers: { authorization: 'Bearer no' } }, 401, 'UNAUTHORIZED'],
    ['a wrong key as subprotocol', '/v1/echo/a/end', ['caisson.v1', `${carrier}xx`], {}, 401, 'UNAUTHORIZED'],
    [
      'a host that is not ours',
      '/v1/echo/a/end',
      ['caisson.v1'],
      { headers: { host: 'evil.example', authorization: `Bearer ${key}` } },
      403,
      'FORBIDDEN',
    ],
    ['a path that is not served', '/v1/nothing', ['caisson.v1'], withKey, 400, 'BAD_REQUEST'],
    ['a path that is no text', '/v1/echo/%ff/end', ['caisson.v1'], withKey, 400, 'BAD_REQUEST'],
    ["somebody else's thing", '/v1/echo/a/end?refuse', ['caisson.v1'], withKey, 404, 'AGENT_NOT_FOUND'],
  ])('with %s is refused with the error of the API', async (_what, path, protocols, options, status, code) => {
    expect(await refusal(path, protocols, options)).toEqual({ status, code });
    await expect.poll(() => subscriptions.count, { timeout: 20_000 }).toBe(0);
  });

  test('whose key is revoked before it is accepted is refused', async () => {
    const refused = refusal('/v1/echo/a/end?later');
    await expect.poll(() => signals.length, { timeout: 20_000 }).toBe(1);
    subscriptions.endKey(alice.keyId);
    accepted.resolve();
    expect(await refused).toEqual({ status: 401, code: 'UNAUTHORIZED' });
    await expect.poll(() => subscriptions.count, { timeout: 20_000 }).toBe(0);
  });

  test('takes a place of its key, and is refused when there is none', async () => {
    const first = await open('/v1/echo/a/end');
    await open('/v1/echo/b/end');
    expect(await refusal('/v1/echo/c/end')).toEqual({ status: 429, code: 'TOO_MANY_CONNECTIONS' });
    first.close();
    await once(first, 'close');
    await expect.poll(() => subscriptions.count, { timeout: 20_000 }).toBe(1);
    await open('/v1/echo/c/end');
  });

  test('that has no place tells a browser, and so the client, that there are too many', async () => {
    await open('/v1/echo/a/end');
    await open('/v1/echo/b/end');
    const socket = new WebSocket(`${url}/v1/echo/c/end`, ['caisson.v1', carrier]);
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1013);
    const endpoint = createEndpoint({ url: url.replace('ws', 'http'), apiKey: key });
    const agents = {} as Calls['agents']; // nothing is asked
    const started = spawn(endpoint, { agents }, { agentId: newAgentId(), command: ['true'] });
    await expect(started).rejects.toMatchObject({ code: 'TOO_MANY_CONNECTIONS' });
    expect(subscriptions.count).toBe(2);
  });

  test.each([
    ['a version that nobody speaks', { 'sec-websocket-version': '7' }],
    ['a key that is none', { 'sec-websocket-key': 'no' }],
  ])('with %s is refused, and gives its place back', async (_what, wrong) => {
    const asked = request(`${url.replace('ws', 'http')}/v1/echo/a/end`, {
      headers: {
        authorization: `Bearer ${key}`,
        connection: 'upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==',
        ...wrong,
      },
    });
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(400);
    answer.resume();
    expect(signals).toHaveLength(1); // it had been let in
    await expect.poll(() => subscriptions.count, { timeout: 20_000 }).toBe(0);
    expect(signals[0]?.aborted).toBe(true);
  });

  test('that is refused does not keep its connection, though the other end does not close it', async () => {
    const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.write('GET /v1/echo/a/end HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    const [said] = (await once(socket, 'data')) as [Buffer];
    expect(String(said)).toMatch(/^HTTP\/1.1 401 /);
    await expect.poll(() => openSockets(), { timeout: 20_000 }).toBe(0);
    socket.destroy();
  });
});

function openSockets(): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

describe('an open socket', () => {
  test('is closed with 1008 when its key is revoked', async () => {
    const socket = await open('/v1/echo/a/end');
    subscriptions.endKey(alice.keyId);
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1008);
    expect(signals[0]?.aborted).toBe(true);
  });

  test('is closed with 1001 when the control plane shuts down', async () => {
    const socket = await open('/v1/echo/a/end');
    subscriptions.endAll(new CaissonError('DRAINING', 'The control plane is shutting down.'));
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1001);
  });

  test('is closed with 1009 over a message that is too large', async () => {
    const socket = await open('/v1/echo/a/end');
    socket.on('error', () => undefined);
    socket.send(Buffer.alloc(1024 * 1024 + 1));
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1009);
    await expect.poll(() => subscriptions.count, { timeout: 20_000 }).toBe(0);
  });

  test('is closed with 1008 over a message that comes in very many pieces', async () => {
    const raw = once(server, 'upgrade') as Promise<[IncomingMessage, Socket]>;
    const socket = await open('/v1/echo/a/end');
    const closed = once(socket, 'close') as Promise<[number]>;
    const [, connection] = await raw;
    connection.emit('data', Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0])); // 1 MiB, masked
    for (let sent = 0; sent < 3_000; sent++) connection.emit('data', Buffer.from('x'));
    expect((await closed)[0]).toBe(1008);
  });

  test('is closed with 1008 over a message of very many fragments', async () => {
    const socket = await open('/v1/echo/a/end');
    const closed = once(socket, 'close') as Promise<[number]>;
    for (let sent = 0; sent < 3_000; sent++) socket.send('x', { fin: false });
    expect((await closed)[0]).toBe(1008);
  });

  test('whose client is gone without a word is ended, and one that answers is not', async () => {
    server.close();
    await serve({ pingEveryMs: 200 });
    const deaf = await open('/v1/echo/a/end', ['caisson.v1'], { ...withKey, autoPong: false });
    const alive = await open('/v1/echo/b/end');
    const [code] = (await once(deaf, 'close')) as [number];
    expect(code).toBe(1006);
    await expect.poll(() => signals.map(({ aborted }) => aborted), { timeout: 20_000 }).toEqual([true, false]);
    expect(alive.readyState).toBe(WebSocket.OPEN);
  });

  describe('whose pings are not answered, because bytes wait', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
    afterEach(() => void vi.useRealTimers());

    /** A client that answers no ping, and the side of the control plane. */
    async function openDeaf(): Promise<[client: WebSocket, side: WebSocket]> {
      const client = await open('/v1/echo/a/end', ['caisson.v1'], { ...withKey, autoPong: false });
      const [side] = served;
      if (side === undefined) throw new Error('nothing is served');
      vi.advanceTimersByTime(20_000); // it has been pinged
      return [client, side];
    }

    test('at this end, stays', async () => {
      const [client, side] = await openDeaf();
      side.pause();
      const texts: string[] = [];
      client.on('message', (data: Buffer) => texts.push(data.toString()));
      client.send('late');
      vi.advanceTimersByTime(100_000);
      expect(side.readyState).toBe(WebSocket.OPEN);
      side.resume();
      vi.advanceTimersByTime(20_000); // what waited has not come yet
      expect(side.readyState).toBe(WebSocket.OPEN);
      await expect.poll(() => texts, { timeout: 20_000 }).toContain('late');
    });

    test('at the other end, stays', async () => {
      const [client, side] = await openDeaf();
      client.pause();
      const bytes = 32 * 1024 * 1024;
      side.send(Buffer.alloc(bytes));
      vi.advanceTimersByTime(100_000);
      expect(side.bufferedAmount).toBeGreaterThan(0);
      expect(side.readyState).toBe(WebSocket.OPEN);
      const lengths: number[] = [];
      client.on('message', (data: Buffer) => lengths.push(data.length));
      client.resume();
      await expect.poll(() => lengths, { timeout: 20_000 }).toContain(bytes);
    });

    test('stays as long as it sends anything itself', async () => {
      const [client, side] = await openDeaf();
      for (let round = 0; round < 5; round++) {
        const taken = once(side, 'message');
        client.send('x');
        await taken;
        expect(side.readyState).toBe(WebSocket.OPEN);
        vi.advanceTimersByTime(20_000);
      }
      vi.advanceTimersByTime(20_000);
      expect(side.readyState).not.toBe(WebSocket.OPEN);
    });
  });

  test('hears signs of life, since programs see no pings', async () => {
    server.close();
    await serve({ pingEveryMs: 100 });
    const socket = await open('/v1/echo/a/end');
    for (let heard = 0; heard < 2; heard++) {
      const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
      expect([data.toString(), isBinary]).toEqual(['{"type":"alive"}', false]);
    }
  });

  test('lets go of its route when its client leaves', async () => {
    const socket = await open('/v1/echo/a/end');
    socket.terminate();
    await expect.poll(() => signals[0]?.aborted, { timeout: 20_000 }).toBe(true);
    await expect.poll(() => subscriptions.count, { timeout: 20_000 }).toBe(0);
  });
});
