import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createCaissonClient } from '../../../src/client/index.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';
import { type App, echo, startApp } from './app.ts';
import { Visitor } from './visitor.ts';

let workspace: RunningWorkspace;
beforeAll(async () => {
  workspace = await startWorkspace({ CAISSON_TRUSTED_PROXIES: '10.9.0.0/16' });
});
afterAll(() => workspace[Symbol.asyncDispose]());

/** A visitor whom a link to the app has let in. */
async function visit({ port }: { readonly port: number }): Promise<{
  visitor: Visitor;
  origin: string;
  previewId: string;
}> {
  const made = await workspace.client.previews.create.mutate({ agentId: workspace.agent.id, port, access: 'shared' });
  const visitor = new Visitor(workspace.url);
  expect((await visitor.visit(made.url)).status).toBe(303);
  return { visitor, origin: made.origin, previewId: made.id };
}

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

describe('what passes to the app', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp(echo);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test('nothing of ours, nothing that a client forged, and X-Forwarded-* as they are', async () => {
    const { visitor, origin } = await visit(app);
    const { host } = new URL(origin);
    const answer = await visitor.visit(`${origin}/x?caisson-preview=cpv_${'B'.repeat(43)}&a=1`, {
      method: 'POST',
      body: 'hello',
      headers: {
        cookie: `${visitor.cookie(origin)}; __Host-caisson-preview=x; session=app; Caisson-Preview=y`,
        authorization: `Bearer ${workspace.apiKey}`,
        'caisson-lease': '9',
        'Caisson-Exec': 'x',
        'x-forwarded-for': '1.2.3.4',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': '1',
        'x-forwarded-prefix': '/evil',
        'x-real-ip': '1.2.3.4',
        X_Forwarded_For: '1.2.3.4',
        forwarded: 'for=1.2.3.4',
        referer: `${origin}/?caisson-preview=cpv_x`,
        te: 'trailers',
        'keep-alive': 'timeout=99',
        'x-hop': 'secret',
        connection: 'x-hop',
        'x-own': 'kept',
        'content-type': 'text/plain',
      },
    });
    const got = JSON.parse(answer.text) as Echo;
    expect(got).toMatchObject({ method: 'POST', url: '/x?a=1', body: 'hello' });
    expect(got.headers).toEqual({
      host,
      cookie: 'session=app',
      connection: 'keep-alive',
      'content-length': '5',
      'content-type': 'text/plain',
      'x-own': 'kept',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': host,
      'x-forwarded-port': new URL(origin).port,
      'x-forwarded-proto': 'http',
    });
  });

  test('an authorization of the app itself', async () => {
    const { visitor, origin } = await visit(app);
    const answer = await visitor.visit(origin, { headers: { authorization: 'Bearer eyJ.of.the.app' } });
    expect((JSON.parse(answer.text) as Echo).headers['authorization']).toBe('Bearer eyJ.of.the.app');
  });

  test('every method with its body, chunked or not', async () => {
    const { visitor, origin } = await visit(app);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'OPTIONS', 'PROPFIND']) {
      for (const headers of [{ 'transfer-encoding': 'chunked' }, { 'content-length': '4' }]) {
        const answer = await visitor.visit(origin, { method, headers, body: 'body' });
        expect(JSON.parse(answer.text)).toMatchObject({ method, body: 'body' });
      }
    }
    expect((await visitor.visit(origin, { method: 'HEAD' })).status).toBe(200);
  });

  test('a request of a page of another agent or site does not', async () => {
    const { visitor, origin } = await visit(app);
    const foreign = origin.replace(workspace.agent.id, `agt-${'0'.repeat(26)}`);
    const sibling = origin.replace(/\/\/\d+/, '//4321');
    const ask = async (headers: Record<string, string>, method = 'GET'): Promise<number> =>
      (await visitor.visit(origin, { headers, method })).status;
    for (const from of [foreign, 'https://evil.example', 'null']) {
      expect(await ask({ origin: from }, 'POST')).toBe(403);
      expect(await ask({ origin: from, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' })).toBe(403);
    }
    expect(await ask({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', referer: `${foreign}/` })).toBe(403);
    expect(await ask({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' })).toBe(403);
    expect(await ask({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(200);
    expect(await ask({ origin, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }, 'POST')).toBe(200);
    expect(await ask({ origin: sibling, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' }, 'POST')).toBe(200);
  });

  test.each(['iframe', 'frame', 'object', 'embed', 'fencedframe'])(
    'a visit into an %s does not, unless a page of the same agent or one that is no preview asks for it',
    async (dest) => {
      const { visitor, origin } = await visit(app);
      const foreign = origin.replace(workspace.agent.id, `agt-${'0'.repeat(26)}`);
      const sibling = origin.replace(/\/\/\d+/, '//4321');
      const ask = async (site: string, headers: Record<string, string>): Promise<number> => {
        const sent = { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': dest, ...headers };
        return (await visitor.visit(origin, { headers: sent })).status;
      };
      // A redirect of another site makes a frame of a neighbour cross-site, and browsers send the cookie all the same.
      for (const site of ['same-site', 'cross-site']) {
        for (const from of [foreign, new URL(foreign).origin.replace(/\d+-agt-\w+\./, ''), 'null', 'about:srcdoc']) {
          expect(await ask(site, { referer: `${from}/` })).toBe(403);
          expect(await ask(site, { origin: from, referer: 'https://panel.example/' })).toBe(403);
        }
        expect(await ask(site, {})).toBe(403);
        expect(await ask(site, { referer: 'https://panel.example/' })).toBe(200);
      }
      expect(await ask('same-site', { referer: `${sibling}/` })).toBe(200);
      expect(await ask('same-site', { origin: sibling })).toBe(200);
      expect(await ask('same-origin', {})).toBe(200);
      expect(await ask('none', {})).toBe(200);
      // A link that a person follows, also from a neighbour.
      expect(await ask('same-site', { referer: `${foreign}/`, 'sec-fetch-dest': 'document' })).toBe(200);
    },
  );

  test('connections are used again', async () => {
    const { visitor, origin } = await visit(app);
    const before = app.connections.count;
    for (let n = 0; n < 20; n++) expect((await visitor.visit(origin)).status).toBe(200);
    expect(app.connections.count - before).toBe(1);
  });
});

describe('what passes back', () => {
  test('cookies of the app for its own host only, and none in place of ours', async () => {
    await using app = await startApp((_request, response) => {
      response.setHeader('set-cookie', [
        'a=1; Domain=preview.localhost; Path=/; HttpOnly',
        'b=2;domain = .localhost;Secure',
        'c=3; Path=/',
        'caisson-preview=stolen; Path=/',
        '__Host-caisson-preview=stolen; Path=/; Secure',
      ]);
      response.setHeader('caisson-internal', 'x');
      response.setHeader('service-worker-allowed', '/');
      response.end('ok');
    });
    const { visitor, origin } = await visit(app);
    const { headers } = await visitor.visit(origin);
    expect(headers['set-cookie']).toEqual(['a=1; Path=/; HttpOnly', 'b=2;Secure', 'c=3; Path=/']);
    expect(headers['caisson-internal']).toBeUndefined();
    expect(headers['service-worker-allowed']).toBe('/');
  });

  test('an answer as it comes: its head before its first byte, and each event by itself', async () => {
    const next: (() => void)[] = [];
    await using app = await startApp((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      let n = 0;
      next.push(() => response.write(`data: ${n++}\n\n`));
    });
    const { visitor, origin } = await visit(app);
    const response = await visitor.stream(origin);
    expect(response.headers['content-type']).toBe('text/event-stream');
    for (let n = 0; n < 5; n++) {
      next[0]?.();
      const [chunk] = (await once(response, 'data')) as [Buffer];
      expect(chunk.toString()).toBe(`data: ${n}\n\n`);
    }
    response.destroy();
    await until('the app hears that nobody listens', () => app.connections.open === 0);
  });

  test('ranges, redirects, errors and empty answers of the app', async () => {
    const file = join(workspace.roots[0], 'file');
    await writeFile(file, '0123456789');
    await using app = await startApp((request, response) => {
      if (request.url === '/go') return void response.writeHead(302, { location: '/there?x=1' }).end();
      if (request.url === '/none') return void response.writeHead(204).end();
      if (request.url === '/fails') return void response.writeHead(500, 'Oh no').end('sorry');
      expect(request.headers.range).toBe('bytes=2-5');
      response.writeHead(206, { 'content-range': 'bytes 2-5/10', 'content-length': 4 });
      createReadStream(file, { start: 2, end: 5 }).pipe(response);
    });
    const { visitor, origin } = await visit(app);
    expect(await visitor.visit(origin, { headers: { range: 'bytes=2-5' } })).toMatchObject({
      status: 206,
      text: '2345',
      headers: { 'content-range': 'bytes 2-5/10', 'content-length': '4' },
    });
    expect((await visitor.visit(`${origin}/go`)).headers.location).toBe('/there?x=1');
    expect(await visitor.visit(`${origin}/none`)).toMatchObject({ status: 204, text: '' });
    expect(await visitor.visit(`${origin}/fails`)).toMatchObject({ status: 500, text: 'sorry' });
  });

  test('an answer that breaks off is cut for the visitor too', async () => {
    await using app = await startApp((_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half');
      setImmediate(() => response.socket?.resetAndDestroy());
    });
    const { visitor, origin } = await visit(app);
    await expect(visitor.stream(origin).then(text)).rejects.toThrow();
  });

  test('64 MiB up, while the app takes its time, and back', async () => {
    const size = 64 * 1024 * 1024;
    await using app = await startApp((request, response) => {
      void request.pipe(response);
    });
    const { visitor, origin } = await visit(app);
    const outgoing = visitor.request(origin, { method: 'POST', headers: { expect: '100-continue' } });
    outgoing.flushHeaders();
    await once(outgoing, 'continue');
    const block = Buffer.alloc(1024 * 1024, 3);
    const sending = (async () => {
      for (let sent = 0; sent < size; sent += block.length) if (!outgoing.write(block)) await once(outgoing, 'drain');
      outgoing.end();
    })();
    const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
    let received = 0;
    for await (const chunk of response) received += (chunk as Buffer).length;
    await sending;
    expect(received).toBe(size);
  });
});

describe('a WebSocket', () => {
  let app: App;
  let sockets: WebSocketServer;
  beforeAll(async () => {
    app = await startApp(echo);
    sockets = new WebSocketServer({ server: app.server });
    sockets.on('connection', (socket, request) => {
      socket.send(JSON.stringify(request.headers));
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
  });
  afterAll(async () => {
    for (const socket of sockets.clients) socket.terminate();
    await app[Symbol.asyncDispose]();
  });

  async function open(socket: WebSocket): Promise<Record<string, string>> {
    const [first] = (await once(socket, 'message')) as [Buffer];
    return JSON.parse(first.toString()) as Record<string, string>;
  }

  test('passes both ways, without our cookie and keys', async () => {
    const { visitor, origin } = await visit(app);
    const socket = visitor.socket(`${origin}/hmr?token=1`, { origin, authorization: `Bearer ${workspace.apiKey}` });
    const headers = await open(socket);
    expect(headers).toMatchObject({ host: new URL(origin).host, origin, 'x-forwarded-for': '127.0.0.1' });
    expect(headers['cookie']).toBeUndefined();
    expect(headers['authorization']).toBeUndefined();
    const large = Buffer.alloc(3 * 1024 * 1024, 9);
    socket.send(large);
    const [answer] = (await once(socket, 'message')) as [Buffer];
    expect(answer.equals(large)).toBe(true);
    socket.close();
    await until('the app has seen it close', () => sockets.clients.size === 0);
  });

  test('is refused without a cookie, and to pages of other origins', async () => {
    const { visitor, origin } = await visit(app);
    for (const socket of [
      new Visitor(workspace.url).socket(origin),
      visitor.socket(origin, { origin: 'https://evil.example' }),
      visitor.socket(origin, { origin: origin.replace(workspace.agent.id, `agt-${'0'.repeat(26)}`) }),
    ]) {
      const [error] = (await once(socket, 'error')) as [Error];
      expect(error.message).toContain('403');
    }
  });

  test('ends at once when its preview is revoked, at both ends', async () => {
    const { visitor, origin, previewId } = await visit(app);
    const socket = visitor.socket(origin);
    await open(socket);
    const closed = once(socket, 'close');
    await workspace.client.previews.revoke.mutate({ previewId });
    await closed;
    await until('the app has seen it close', () => sockets.clients.size === 0);
    expect((await visitor.visit(origin)).status).toBe(410);
  });
});

describe('what is open', () => {
  /** An answer that never ends. */
  const endless = async (): Promise<App> =>
    await startApp((_request, response) => {
      response.write('begin');
    });

  async function openStream(app: App, client = workspace.client) {
    const made = await client.previews.create.mutate({ agentId: workspace.agent.id, port: app.port });
    const visitor = new Visitor(workspace.url);
    await visitor.visit(made.url);
    const response = await visitor.stream(made.origin);
    await once(response, 'data');
    const ended = new Promise<void>((resolve) => response.once('close', resolve));
    response.on('error', () => undefined);
    response.resume();
    return { made, visitor, ended };
  }

  test('is cut when the preview is revoked', async () => {
    await using app = await endless();
    const { made, visitor, ended } = await openStream(app);
    const revoked = await workspace.client.previews.revoke.mutate({ previewId: made.id });
    expect(revoked.state).toBe('revoked');
    await ended;
    await until('the app has seen it', () => app.connections.open === 0);
    expect((await visitor.visit(made.origin)).status).toBe(410);
    expect((await workspace.client.previews.revoke.mutate({ previewId: made.id })).revokedAt).toBe(revoked.revokedAt);
  });

  test('is cut when the preview expires', async () => {
    await using app = await endless();
    const made = await workspace.client.previews.create.mutate({
      agentId: workspace.agent.id,
      port: app.port,
      expiresIn: 2_000,
    });
    const visitor = new Visitor(workspace.url);
    await visitor.visit(made.url);
    const response = await visitor.stream(made.origin);
    await expect(text(response)).rejects.toThrow();
  });

  test('is cut when the API key that made the preview is revoked', async () => {
    const admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
    const { key, secret } = await admin.keys.create.mutate({ user: 'alice', role: 'member', name: 'second' });
    await using app = await endless();
    const { made, visitor, ended } = await openStream(app, createCaissonClient({ url: workspace.url, apiKey: secret }));
    await admin.keys.revoke.mutate({ keyId: key.id });
    await ended;
    expect((await visitor.visit(made.origin)).status).toBe(410);
  });

  test('is cut when the agent is deleted', async () => {
    const { client } = workspace;
    const agent = await client.agents.create.mutate({ name: 'short-lived', wait: true });
    await using app = await endless();
    const made = await client.previews.create.mutate({ agentId: agent.id, port: app.port });
    const visitor = new Visitor(workspace.url);
    await visitor.visit(made.url);
    const response = await visitor.stream(made.origin);
    const reading = expect(text(response)).rejects.toThrow();
    await client.agents.delete.mutate({ agentId: agent.id });
    await reading;
    await expect.poll(async () => (await visitor.visit(made.origin)).status, { timeout: 20_000 }).toBe(410);
  });
});

describe('instead of an app', () => {
  const html = { accept: 'text/html,*/*' };

  test('that has stopped there is a page that says so, which goes away when the app is back', async () => {
    const first = await startApp(echo);
    const { visitor, origin } = await visit(first);
    await first[Symbol.asyncDispose]();
    const page = await visitor.visit(origin, { headers: html });
    expect(page.status).toBe(502);
    expect(page.text).toContain(`Nothing listens on port ${first.port}`);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.headers['caisson-preview-page']).toBe('1');
    const data = await visitor.visit(origin, { headers: { accept: 'application/json' } });
    expect(JSON.parse(data.text)).toMatchObject({ error: { code: 'PORT_NOT_LISTENING' } });
    await using second = await startApp(echo, { port: first.port });
    expect(second.port).toBe(first.port);
    expect((await visitor.visit(origin, { headers: html })).status).toBe(200);
  });

  test('whose sandbox is not running there is a page that says so, and the visit does not start it', async () => {
    const agent = await workspace.client.agents.create.mutate({ name: 'stopped', wait: true });
    const made = await workspace.client.previews.create.mutate({ agentId: agent.id, port: 3000 });
    const visitor = new Visitor(workspace.url);
    await visitor.visit(made.url);
    await workspace.provider.stop(agentIdSchema.parse(agent.id));
    await expect
      .poll(async () => (await visitor.visit(made.origin, { headers: html })).text, { timeout: 20_000 })
      .toContain('The sandbox is not running');
    expect((await visitor.visit(made.origin)).status).toBe(503);
    expect(workspace.provider.running.has(agentIdSchema.parse(agent.id))).toBe(false);
  });

  test('that speaks no HTTP there is a page that says so', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined); // it is reset, having spoken no HTTP
      socket.end('SSH-2.0-OpenSSH\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { visitor, origin } = await visit({ port });
    const page = await visitor.visit(origin, { headers: html });
    server.close();
    expect(page.status).toBe(502);
    expect(page.text).toContain('did not answer in HTTP');
  });
});

describe('bytes that could mean two requests', () => {
  test('are refused, or reach the app as one', async () => {
    const seen: string[] = [];
    await using app = await startApp((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      request.resume().on('end', () => response.end('ok'));
    });
    const { visitor, origin } = await visit(app);
    const head = (line: string, ...headers: string[]): string =>
      [
        line,
        `Host: ${new URL(origin).host}`,
        `Cookie: ${visitor.cookie(origin)}`,
        'Connection: close',
        ...headers,
        '',
        '',
      ].join('\r\n');
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
    const attempts: readonly string[] = [
      `${head('POST / HTTP/1.1', 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n${smuggled}`,
      `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Content-Length: 40')}0\r\n\r\n${smuggled}`,
      `${head('POST / HTTP/1.1', 'Content-Length: 4', 'Content-Length: 40')}abcd${smuggled}`,
      `${head('POST / HTTP/1.1', 'Transfer-Encoding: xchunked')}0\r\n\r\n${smuggled}`,
      `${head('POST / HTTP/1.1', 'Transfer-Encoding : chunked')}0\r\n\r\n${smuggled}`,
      `${head('POST / HTTP/1.1', 'Transfer-Encoding: identity, chunked, identity')}0\r\n\r\n${smuggled}`,
      `${head('GET / HTTP/1.1', 'Transfer-Encoding: chunked')}5;\nabcde\n0\n\n${smuggled}`,
      head('GET / HTTP/1.1', `X: a\nGET /smuggled HTTP/1.1\nHost: x`),
      `GET / HTTP/1.1\nHost: ${new URL(origin).host}\nCookie: ${visitor.cookie(origin)}\n\n`,
      head('GET http://127.0.0.1/smuggled HTTP/1.1'),
      head('GET /a HTTP/1.1', 'Host: 127.0.0.1'),
    ];
    for (const attempt of attempts) {
      const answer = await visitor.raw(attempt);
      expect([attempt, answer]).toEqual([attempt, expect.stringMatching(/^HTTP\/1\.1 4\d\d /)]);
    }
    expect(seen).toEqual([]);
    // A body of a GET is framed for the app as well: what is in it is no request.
    const get = await visitor.raw(
      `${head('GET /once HTTP/1.1', 'Transfer-Encoding: chunked')}${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    );
    expect(get).toContain('200 OK');
    expect(seen).toEqual(['GET /once']);
  });

  test('a visitor who wants the connection closed has it closed, and HTTP/1.0 is served', async () => {
    await using app = await startApp(echo);
    const { visitor, origin } = await visit(app);
    const lines = [`Host: ${new URL(origin).host}`, `Cookie: ${visitor.cookie(origin)}`, 'Connection: close', '', ''];
    for (const version of ['1.0', '1.1']) {
      const answer = await visitor.raw([`GET / HTTP/${version}`, ...lines].join('\r\n'));
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
      expect(answer.toLowerCase()).toContain('connection: close');
    }
  });
});

test('an app that closes its connections behind every answer is no trouble', async () => {
  const open = new Set<Socket>();
  await using app = await startApp((request, response) => {
    open.add(request.socket);
    response.end('ok', () => setImmediate(() => request.socket.destroy()));
  });
  const { visitor, origin } = await visit(app);
  for (let n = 0; n < 30; n++) expect((await visitor.visit(origin)).status).toBe(200);
  expect(open.size).toBeGreaterThan(1);
});

test('50 at once are served, and readers that take nothing hold nobody up', async () => {
  const size = 12 * 1024 * 1024;
  await using app = await startApp((_request, response) => {
    response.end(Buffer.alloc(size, 1));
  });
  const { visitor, origin } = await visit(app);
  const slow = await Promise.all(Array.from({ length: 16 }, () => visitor.stream(origin)));
  const count = async (): Promise<number> => {
    let bytes = 0;
    for await (const chunk of await visitor.stream(origin)) bytes += (chunk as Buffer).length;
    return bytes;
  };
  expect(await count()).toBe(size);
  for (const response of slow) response.destroy();
  await using small = await startApp(echo);
  const many = await visit(small);
  const answers = await Promise.all(Array.from({ length: 50 }, () => many.visitor.visit(many.origin)));
  expect(answers.every(({ status }) => status === 200)).toBe(true);
});
