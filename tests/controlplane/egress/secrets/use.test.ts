import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createSecureContext, TLSSocket } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import { connectTcp } from '../../../../src/controlplane/egress/dial.ts';
import { CaissonError } from '../../../../src/kernel/errors.ts';
import { newAgentId } from '../../../../src/kernel/ids.ts';
import { until } from '../../../until.ts';
import { denied, listen, openEgress } from '../egress-fixture.ts';
import { hostName, openSecretEgress, startHost, token } from './secrets-fixture.ts';

const over = async (side: Duplex): Promise<void> => {
  if (!side.closed) await new Promise((resolve) => side.once('close', resolve));
};

test('a request carries the secret of its host, and its record says so', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  const secretId = await world.give({ port: host.port });
  const answer = await world.ask(host.port, { path: '/user?x=1', headers: { accept: 'text/plain', 'x-own': '1' } });
  expect(answer).toMatchObject({ status: 200, body: 'hello' });
  const { method, url, headers } = host.asked[0] ?? {};
  expect({ method, url }).toEqual({ method: 'GET', url: '/user?x=1' });
  expect(headers).toMatchObject({
    authorization: `Bearer ${token}`,
    'x-own': '1',
    host: `${hostName}:${host.port}`,
  });
  expect(await world.egress.recorded()).toMatchObject({
    host: hostName,
    outcome: 'closed',
    rule: 'of the test',
    secretId,
    decision: 'allow',
  });
});

test('it is shown as the host wants it: with a user name, or in a header of its own', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port, form: { kind: 'basic', username: 'x-access-token' } });
  await world.ask(host.port);
  await world.give({ port: host.port, form: { kind: 'header', header: 'private-token' } });
  await world.ask(host.port, { headers: { 'Private-Token': 'of the sandbox', authorization: 'Bearer its own' } });
  const basic = Buffer.from(`x-access-token:${token}`).toString('base64');
  expect(host.asked.map(({ headers }) => [headers.authorization, headers['private-token']])).toEqual([
    [`Basic ${basic}`, undefined],
    ['Bearer its own', token],
  ]);
});

test('a connection that is cut just when its end is on the way to the host is closed', async () => {
  const dialled = Promise.withResolvers<Socket>();
  await using world = await openSecretEgress({
    async connectTo(...address) {
      const upstream = await connectTcp(...address);
      dialled.resolve(upstream);
      return upstream;
    },
  });
  await using host = await startHost(world.world, {
    answer: (_request, response) => void response.setHeader('connection', 'close').end('hello'),
  });
  await world.give({ port: host.port });
  const end = Reflect.get(Socket.prototype, 'end');
  const spy = vi.spyOn(Socket.prototype, 'end').mockImplementation(function (this: Socket, ...said: unknown[]) {
    const isToHost = this instanceof TLSSocket && this.remotePort === host.port;
    Reflect.apply(end, this, said);
    if (isToHost) {
      world.egress.policy.rule = () => denied;
      world.egress.policy.change();
    }
    return this;
  });
  onTestFinished(() => spy.mockRestore());
  const over = dialled.promise.then(async (upstream) => {
    await once(upstream, 'close');
    return upstream;
  });
  (await world.open(host.port)).write(`GET / HTTP/1.1\r\nHost: ${hostName}:${host.port}\r\n\r\n`);
  expect((await over).errored).toBeNull();
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'revoked' });
});

test('every request of a connection carries it, one after the other', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const socket = await world.open(host.port);
  const head = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${hostName}:${host.port}\r\n`;
  socket.write(`${head('/1')}\r\n${head('/2')}Connection: close\r\n\r\n`);
  expect((await text(socket)).match(/hello/g)).toHaveLength(2);
  expect(host.asked.map(({ url, headers }) => [url, headers.authorization])).toEqual([
    ['/1', `Bearer ${token}`],
    ['/2', `Bearer ${token}`],
  ]);
});

test('a large body passes both ways, whole', async () => {
  await using world = await openSecretEgress();
  const body = 'all of it '.repeat(400_000);
  await using host = await startHost(world.world, { answer: (_request, response) => void response.end(body) });
  await world.give({ port: host.port });
  const answer = await world.ask(host.port, { method: 'POST', body });
  expect(answer.body === body).toBe(true);
  expect(host.asked[0]?.body === body).toBe(true);
});

test.each([
  ['HEAD', 200, '', { 'content-length': '5' }],
  ['GET', 204, '', {}],
  ['GET', 304, '', { etag: '"1"' }],
  ['GET', 200, 'no length', { 'transfer-encoding': 'chunked' }],
])('%s that is answered with %i and "%s" passes as it is', async (method, status, body, expected) => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world, {
    answer: (_request, response) => {
      response.writeHead(status, expected);
      response.write(body);
      response.end();
    },
  });
  await world.give({ port: host.port });
  const answer = await world.ask(host.port, { method });
  expect(answer).toMatchObject({ status, body, headers: expected });
});

test('an answer that goes on and on is passed on as it comes', async () => {
  await using world = await openSecretEgress();
  let say: (text: string) => void = () => undefined;
  await using host = await startHost(world.world, {
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      say = (text) => void response.write(text);
      say('data: 1\n\n');
    },
  });
  await world.give({ port: host.port });
  const socket = await world.open(host.port);
  let heard = '';
  socket.setEncoding('latin1').on('data', (text: string) => (heard += text));
  socket.write(`GET / HTTP/1.1\r\nHost: ${hostName}:${host.port}\r\n\r\n`);
  await until('the first event', () => heard.includes('data: 1'));
  say('data: 2\n\n');
  await until('the second event', () => heard.includes('data: 2'));
});

test('an answer that is cut is cut for the program too', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world, {
    answer: (request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('only a part', () => request.socket.destroy());
    },
  });
  await world.give({ port: host.port });
  await expect(world.ask(host.port)).rejects.toThrow();
});

test('a host without a secret is in TLS that nobody opens', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port + 1 });
  await world.give({ port: host.port, host: 'other.caisson.test' });
  const refused = await world.ask(host.port).catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }); // the sandbox sees the host's own certificate
  const record = await world.egress.recorded();
  expect(record).toMatchObject({ secretId: null });
  expect(host.asked).toEqual([]);
});

test('that of the agent comes before that of its owner, which all agents of the owner use', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  const { port } = host;
  await world.give({ port, value: 'of-the-owner', scope: { kind: 'user', userId: world.ownerId } });
  await world.ask(port);
  const id = await world.give({ port, value: 'of-the-agent' });
  await world.ask(port);
  await world.secrets.hostSecrets.remove({ kind: 'agent', agentId: world.agentId }, id);
  await world.ask(port);
  expect(host.asked.map(({ headers }) => headers.authorization)).toEqual([
    'Bearer of-the-owner',
    'Bearer of-the-agent',
    'Bearer of-the-owner',
  ]);
});

test('plain HTTP to the host goes as it would without the secret, whatever becomes of that', async () => {
  await using world = await openSecretEgress();
  const asked: unknown[] = [];
  await using host = await listen(
    createHttpServer((request, response) => {
      asked.push(request.headers.authorization);
      response.end('in clear');
    }),
  );
  const { port } = host;
  const id = await world.give({ port });
  const { socket } = await world.egress.tunnel(`${hostName}:${port}`);
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
  const ask = async (answers: number): Promise<void> => {
    socket.write(`GET / HTTP/1.1\r\nHost: ${hostName}:${port}\r\n\r\n`);
    await until(`${answers} answers`, () => heard.match(/in clear/g)?.length === answers);
  };
  await ask(1);
  await world.secrets.hostSecrets.remove({ kind: 'agent', agentId: world.agentId }, id);
  await ask(2);
  socket.end();
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'closed', secretId: null });
  expect(asked).toEqual([undefined, undefined]);
});

test('a secret that changes while it is looked up is looked up again', async () => {
  let changed = (): void => undefined;
  let finds = 0;
  await using egress = await openEgress({
    secrets: {
      async find() {
        finds += 1;
        if (finds === 1) changed();
        return undefined;
      },
      onChanged: (listener) => {
        changed = listener;
        return () => undefined;
      },
      used: () => undefined,
      identityFor: async () => await Promise.reject(new Error('there is no secret')),
      trust: createSecureContext(),
    },
  });
  await using host = await listen(createServer());
  expect(await egress.tunnel(`${hostName}:${host.port}`)).toMatchObject({ status: 200 });
  expect(finds).toBe(2);
});

test('redirects are the program’s to follow, on a connection of their own', async () => {
  await using world = await openSecretEgress();
  await using elsewhere = await startHost(world.world, { name: 'elsewhere.caisson.test' });
  const location = `https://elsewhere.caisson.test:${elsewhere.port}/`;
  await using host = await startHost(world.world, {
    answer: (_request, response) => void response.writeHead(302, { location }).end(),
  });
  await world.give({ port: host.port });
  expect(await world.ask(host.port)).toMatchObject({ status: 302, headers: { location } });
  expect(elsewhere.asked).toEqual([]);
});

test('a host that says what it was sent is not understood: the secret leaves its answers as stars', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world, {
    answer: ({ headers }, response) => {
      response.setHeader('x-echo', String(headers.authorization));
      response.end(JSON.stringify(headers));
    },
  });
  await world.give({ port: host.port, form: { kind: 'basic', username: 'me' } });
  const { headers, body } = await world.ask(host.port);
  const basic = Buffer.from(`me:${token}`).toString('base64');
  expect(headers['x-echo']).toBe(`Basic ${'*'.repeat(basic.length)}`);
  expect(body).toContain(`"authorization":"Basic ${'*'.repeat(basic.length)}"`);
});

test('an upgrade is passed on as the request that it is without', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-key': 'AAAA' };
  expect(await world.ask(host.port, { headers })).toMatchObject({ status: 200, body: 'hello' });
  expect(host.asked[0]?.headers.upgrade).toBeUndefined();
});

test('what is removed or replaced is gone at once: from the next connection, and from those that carry it', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  const { port } = host;
  await world.give({ port });
  const first = await world.open(port);
  const id = await world.give({ port, value: 'another-value' });
  await over(first);
  expect(await world.egress.recorded()).toMatchObject({
    outcome: 'revoked',
    reason: expect.stringContaining('secret'),
  });
  const second = await world.open(port);
  await world.secrets.hostSecrets.remove({ kind: 'agent', agentId: world.agentId }, id);
  await over(second);
  expect(await world.egress.recorded(2)).toMatchObject({ outcome: 'revoked' });
  await expect(world.open(port)).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  expect(host.asked).toEqual([]);
});

test('a secret of another host, and none at all, leave open connections alone', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const socket = await world.open(host.port);
  await world.give({ port: host.port, host: 'other.caisson.test' });
  expect(await world.ask(host.port, { on: socket })).toMatchObject({ status: 200 });
});

test('a use is told once, with what is known of the secret, and noted', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  const secretId = await world.give({ port: host.port });
  await world.ask(host.port);
  await world.ask(host.port);
  const { items } = await world.audit.service.search({ action: 'secret.used' }, { limit: 10, cursor: null });
  expect(items).toMatchObject([
    {
      agentId: world.agentId,
      targets: [world.agentId, secretId],
      details: { host: hostName, port: host.port, of: 'agent' },
      count: 1,
    },
  ]);
  expect(JSON.stringify(items)).not.toContain(token);
  const scope = { kind: 'agent', agentId: world.agentId } as const;
  const lastUsedAt = async () => (await world.secrets.hostSecrets.list(scope))[0]?.lastUsedAt;
  await until('the use was noted', async () => (await lastUsedAt()) != null);
  expect(JSON.stringify(world.log)).not.toContain(token);
});

test('bytes are metered both ways, and cut at the quota', async () => {
  await using world = await openSecretEgress();
  const body = 'x'.repeat(200_000);
  await using host = await startHost(world.world, { answer: (_request, response) => void response.end(body) });
  await world.give({ port: host.port });
  await world.ask(host.port);
  const { sentBytes, receivedBytes } = await world.egress.recorded();
  expect(sentBytes).toBeGreaterThan(300);
  expect(receivedBytes).toBeGreaterThan(body.length);
  let left = 100_000;
  world.egress.meter.take = (_agentId, bytes) => {
    left -= bytes;
    if (left < 0) throw new CaissonError('QUOTA_EXCEEDED', 'It is spent.');
  };
  await expect(world.ask(host.port)).rejects.toThrow();
  expect(await world.egress.recorded(2)).toMatchObject({ outcome: 'over_quota' });
});

test('an agent that is not there has no secrets', async () => {
  await using world = await openSecretEgress();
  const asked = world.secrets.ofGateway.find(newAgentId(), { host: hostName, port: 443 });
  await expect(asked).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
});
