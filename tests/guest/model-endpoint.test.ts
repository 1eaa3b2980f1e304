import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { type OutwardHandler, serveOutward } from '../../src/wire/serve-outward.ts';
import type { WireSession } from '../../src/wire/wire-session.ts';
import { type RunningGuest, runGuest } from './running-guest.ts';

/** A control plane's outward end that answers as the test says. */
async function attach(running: RunningGuest, handler: OutwardHandler): Promise<WireSession> {
  const wire = serveOutward(await running.socket('outward'), handler, { onHandlerError: () => undefined });
  await new Promise((resolve) => wire.session.ping(resolve)); // the guest holds its end
  return wire;
}

const url = (running: RunningGuest, path: string) => `http://127.0.0.1:${running.guest.modelPort}${path}`;

/** A model service; the handler passes requests on to it, as the model gateway does. */
async function origin(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const gateway: OutwardHandler = (stream, headers) => {
    const upstream = httpRequest({
      port,
      host: '127.0.0.1',
      method: headers[':method'],
      path: headers[':path'],
      headers: { 'content-type': headers['content-type'] },
    });
    stream.pipe(upstream);
    stream.once('close', () => upstream.destroy());
    upstream.on('error', () => stream.destroy());
    upstream.once('response', (response) => {
      stream.respond({ ':status': response.statusCode ?? 0, 'x-origin': 'yes' });
      response.pipe(stream);
    });
  };
  return { gateway, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())) };
}

test('a request streams out and its answer streams back, piece by piece', async () => {
  await using running = await runGuest();
  const pieces = ['one ', 'two ', 'three'];
  let heard = Promise.withResolvers<void>();
  await using service = await origin((request, response) => {
    void (async () => {
      const body = await text(request);
      response.setHeader('content-type', 'text/event-stream');
      for (const piece of [`${request.method} ${request.url} ${body}: `, ...pieces]) {
        heard = Promise.withResolvers<void>();
        response.write(piece);
        await heard.promise; // the next piece is sent only when this one has arrived
      }
      response.end();
    })();
  });
  await attach(running, service.gateway);
  const response = await fetch(url(running, '/v1/responses?a=b'), { method: 'POST', body: 'ask' });
  expect(response.headers.get('x-origin')).toBe('yes');
  const received: string[] = [];
  for await (const chunk of response.body ?? []) {
    received.push(Buffer.from(chunk).toString());
    heard.resolve();
  }
  expect(received).toEqual(['POST /model/v1/responses?a=b ask: ', ...pieces]);
});

test('statuses and headers pass, hop-by-hop headers do not', async () => {
  await using running = await runGuest();
  let seen: Record<string, unknown> = {};
  await attach(running, (stream, headers) => {
    seen = headers;
    stream.respond({ ':status': 429, 'retry-after': '7', 'content-type': 'application/json' });
    stream.end('{"error":{"type":"insufficient_quota"}}');
  });
  const request = httpRequest(url(running, '/v1/models'), {
    headers: { connection: 'keep-alive, x-hop', 'x-hop': '1', te: 'trailers', 'x-session': 's' },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(429);
  expect(response.headers['retry-after']).toBe('7');
  expect(await text(response)).toContain('insufficient_quota');
  expect(seen).toMatchObject({ ':method': 'GET', ':path': '/model/v1/models', 'x-session': 's' });
  for (const name of ['connection', 'x-hop', 'te', 'host', 'transfer-encoding']) expect(seen).not.toHaveProperty(name);
});

test('bodies larger than every buffer pass both ways, at the pace of their readers', async () => {
  await using running = await runGuest();
  const upload = Buffer.alloc(30_000_000, 'caisson');
  let sentBeforeRead: boolean | undefined;
  let request: ReturnType<typeof httpRequest> | undefined;
  const wire = await attach(running, (stream) => {
    void (async () => {
      for (let i = 0; i < 20; i++) await new Promise((resolve) => wire.session.ping(resolve));
      sentBeforeRead = request?.writableFinished;
      const body = await buffer(stream);
      stream.respond();
      stream.end(body);
    })();
  });
  request = httpRequest(url(running, '/v1/responses'), { method: 'POST' });
  request.end(upload);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  expect((await buffer(response)).equals(upload)).toBe(true);
  expect(sentBeforeRead).toBe(false);
});

test('requests wait for a control plane, and the newest one gets them', async () => {
  await using running = await runGuest();
  const answers =
    (name: string): OutwardHandler =>
    (stream) => {
      stream.respond();
      stream.end(name);
    };
  const ask = async () => (await fetch(url(running, '/v1/models'))).text();
  const early = [ask(), ask(), ask()];
  const first = await attach(running, answers('first'));
  expect(await Promise.all(early)).toEqual(['first', 'first', 'first']);
  const second = await attach(running, answers('second'));
  expect(await ask()).toBe('second');
  await second.close();
  await expect.poll(ask).toBe('first'); // once the guest has seen the loss
  await first.close();
});

test('a wire that is lost before the answer is a 502 in the shape of the API, and nothing is sent twice', async () => {
  await using running = await runGuest();
  let requests = 0;
  const wire = await attach(running, () => {
    requests++;
    void wire.close();
  });
  const response = await fetch(url(running, '/v1/responses'), { method: 'POST', body: 'ask' });
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ error: { code: 'wire_lost', type: 'server_error' } });
  await attach(running, (stream) => {
    requests++;
    stream.respond();
    stream.end();
  });
  expect(requests).toBe(1);
});

test.for(['closed', 'cut'] as const)('an answer whose wire is %s is cut, not ended', async (how) => {
  await using running = await runGuest();
  const socket = await running.socket('outward');
  const wire = serveOutward(
    socket,
    (stream) => {
      stream.respond();
      stream.write('half');
    },
    { onHandlerError: () => undefined },
  );
  const response = await fetch(url(running, '/v1/responses'));
  const reader = response.body?.getReader();
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('half');
  if (how === 'closed') void wire.close();
  else socket.destroy();
  await expect(reader?.read()).rejects.toThrow();
});

test('an answer that the control plane breaks off is cut, not ended', async () => {
  await using running = await runGuest();
  const broken = Promise.withResolvers<() => void>();
  await attach(running, (stream) => {
    stream.respond();
    stream.write('half');
    broken.resolve(() => stream.destroy(new Error('upstream failed')));
  });
  const response = await fetch(url(running, '/v1/responses'));
  const reader = response.body?.getReader();
  await reader?.read();
  (await broken.promise)();
  await expect(reader?.read()).rejects.toThrow();
});

test('a request that the control plane gives up without a word is a 502, not an empty answer', async () => {
  await using running = await runGuest();
  await attach(running, (stream) => stream.close());
  const response = await fetch(url(running, '/v1/responses'), { method: 'POST', body: 'ask' });
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ error: { code: 'wire_lost' } });
});

test('a request that is answered before it was sent whole leaves its connection free for the next', async () => {
  await using running = await runGuest();
  await attach(running, (stream) => {
    stream.respond({ ':status': 429 });
    stream.end('too much');
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const connections = new Set<unknown>();
  const ask = async (body: Buffer): Promise<string> => {
    const request = httpRequest(url(running, '/v1/responses'), { method: 'POST', agent });
    request.once('socket', (socket) => connections.add(socket));
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return await text(response);
  };
  expect([await ask(Buffer.alloc(30_000_000)), await ask(Buffer.from('x'))]).toEqual(['too much', 'too much']);
  expect(connections.size).toBe(1);
  agent.destroy();
});

test('a harness that gives up takes its request back', async () => {
  await using running = await runGuest();
  const asked = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  await attach(running, (stream) => {
    stream.once('close', () => gone.resolve());
    asked.resolve();
  });
  const controller = new AbortController();
  const call = fetch(url(running, '/v1/responses'), { method: 'POST', body: 'x', signal: controller.signal });
  await asked.promise;
  controller.abort();
  await expect(call).rejects.toThrow();
  await gone.promise;
});

test('the endpoint is no proxy', async () => {
  await using running = await runGuest();
  const request = httpRequest({
    host: '127.0.0.1',
    port: running.guest.modelPort,
    path: 'http://somewhere.example/',
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(400);
  response.resume();
});
