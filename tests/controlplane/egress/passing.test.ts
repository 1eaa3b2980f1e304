import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { EgressDecision } from '../../../src/controlplane/egress/ports.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { mostEgressConnections } from '../../../src/wire/contract/egress.ts';
import { serveOutward } from '../../../src/wire/serve-outward.ts';
import { runGuest } from '../../guest/running-guest.ts';
import { until } from '../../until.ts';
import { localhostCertificate } from '../model-gateway/localhost-certificate.ts';
import { connectTcp } from '../../../src/controlplane/egress/dial.ts';
import { denied, internal, listen, openEgress } from './egress-fixture.ts';
import { SteeredClock } from './policy/steered-clock.ts';

const run = promisify(execFile);
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()));
const curl = async (args: readonly string[]): Promise<string> =>
  (await run('curl', ['-sS', '-m', '20', ...args], { env: { PATH: process.env['PATH'] }, maxBuffer: 1e9 })).stdout;

test('TLS goes through by CONNECT to the host that it names', async () => {
  await using egress = await openEgress();
  const server = createHttpsServer(localhostCertificate, (_request, response) => response.end('over TLS'));
  await using host = await listen(server);
  const url = `https://localhost:${host.port}/`;
  expect(await curl(['-k', '-x', `http://127.0.0.1:${egress.httpProxyPort}`, url])).toBe('over TLS');
  expect(await egress.recorded()).toMatchObject({
    host: 'localhost',
    port: host.port,
    decision: 'allow',
    rule: 'of the test',
    outcome: 'closed',
    reason: null,
  });
  expect(egress.records[0]?.receivedBytes).toBeGreaterThan(500);
});

test('of a connection that is open it is known what it has moved so far, once it is allowed', async () => {
  const asked = Promise.withResolvers<EgressDecision>();
  await using egress = await openEgress();
  egress.policy.rule = async () => await asked.promise;
  const server = createServer((socket) =>
    socket.on('error', () => undefined).once('data', () => socket.write('hello')),
  );
  await using host = await listen(server);
  const tunnel = egress.tunnel(`some.host:${host.port}`);
  const [connection] = await until('it begins', () => egress.open.length === 1 && egress.open);
  expect(connection?.soFar()).toBeUndefined();
  asked.resolve(internal);
  const { socket } = await tunnel;
  socket.write('SSH-2.0-test\r\n');
  const soFar = await until('the answer passes', () => {
    const record = connection?.soFar();
    return (record?.receivedBytes ?? 0) > 0 && record;
  });
  expect(soFar).toMatchObject({ host: 'some.host', decision: 'allow', outcome: 'interrupted', receivedBytes: 5 });
  expect(connection?.isOver).toBe(false);
  socket.destroy();
  expect(await egress.recorded()).toMatchObject({ outcome: 'closed', receivedBytes: 5 });
  expect(connection?.isOver).toBe(true);
});

test('plain HTTP goes through in absolute form, by CONNECT, and by SOCKS5', async () => {
  await using egress = await openEgress();
  const server = createHttpServer((request, response) => {
    void text(request).then((body) => response.end(`${request.method} ${request.url} ${request.headers.host} ${body}`));
  });
  await using host = await listen(server);
  const url = `http://some.host:${host.port}/path?q=1`;
  const http = `http://127.0.0.1:${egress.httpProxyPort}`;
  const wanted = `POST /path?q=1 some.host:${host.port} body`;
  expect(await curl(['-x', http, '-d', 'body', url])).toBe(wanted);
  expect(await curl(['-p', '-x', http, '-d', 'body', url])).toBe(wanted);
  expect(await curl(['-x', `socks5h://127.0.0.1:${egress.socksProxyPort}`, '-d', 'body', url])).toBe(wanted);
  expect(await curl(['-x', http, '-H', 'Transfer-Encoding: chunked', '-d', 'body', url])).toBe(wanted);
  expect(await egress.recorded(4)).toMatchObject({ outcome: 'closed', reason: null });
  expect(egress.records.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 4 }, () => 'closed'));
});

test('several requests of one connection go through one after the other', async () => {
  await using egress = await openEgress();
  let connections = 0;
  const server = createHttpServer((request, response) => response.end(request.url)).on(
    'connection',
    () => void connections++,
  );
  await using host = await listen(server);
  const urls = ['a', 'b', 'c'].map((path) => `http://some.host:${host.port}/${path}`);
  const http = `http://127.0.0.1:${egress.httpProxyPort}`;
  expect(await curl(['-p', '-x', http, ...urls])).toBe('/a/b/c');
  expect(connections).toBe(1);
});

test('a program whose host closes the connection while nothing is asked hears of it', async () => {
  await using egress = await openEgress();
  const server = createHttpServer({ keepAlive: true, keepAliveTimeout: 0 }, (_request, response) => response.end('hi'));
  const hosts: Socket[] = [];
  server.on('connection', (socket) => hosts.push(socket));
  await using host = await listen(server);
  const { socket } = await egress.tunnel(`some.host:${host.port}`);
  let said = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  for (let count = 1; count <= 2; count++) {
    socket.write(`GET / HTTP/1.1\r\nHost: some.host:${host.port}\r\n\r\n`);
    await until('it is answered', () => said.split('hi').length > count);
  }
  const ended = once(socket, 'end');
  hosts[0]?.end();
  await ended;
  socket.end();
  expect(await egress.recorded()).toMatchObject({ outcome: 'closed', reason: null });
});

test('64 MiB arrive whole, both ways', async () => {
  await using egress = await openEgress();
  const content = randomBytes(64 * 1024 * 1024);
  const digest = createHash('sha256').update(content).digest('hex');
  const server = createHttpsServer(localhostCertificate, (request, response) => {
    if (request.method === 'GET') return void response.end(content);
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk)).once('end', () => response.end(hash.digest('hex')));
  });
  await using host = await listen(server);
  const url = `https://localhost:${host.port}/`;
  const proxy = `http://127.0.0.1:${egress.httpProxyPort}`;
  const { stdout } = await run('bash', ['-c', `curl -sSk -m 30 -x ${proxy} ${url} | sha256sum`]);
  expect(stdout.split(' ')[0]).toBe(digest);
  const sent = await run('bash', [
    '-c',
    `curl -sSk -m 30 -x ${proxy} ${url} | curl -sSk -m 30 -x ${proxy} -T - ${url}`,
  ]);
  expect(sent.stdout).toBe(digest);
  const { receivedBytes } = await egress.recorded();
  expect(receivedBytes).toBeGreaterThan(content.length);
});

test('a program that is told that it may not hears why', async () => {
  await using egress = await openEgress();
  egress.policy.rule = () => denied;
  const { status, text: said } = await egress.tunnel('evil.example:443');
  expect(status).toBe(403);
  expect(said).toContain('EGRESS_DENIED: No rule allows it.');
  const plain = await curl(['-x', `http://127.0.0.1:${egress.httpProxyPort}`, 'http://evil.example/']);
  expect(plain).toContain('EGRESS_DENIED: No rule allows it.');
  expect(await egress.recorded(2)).toMatchObject({
    host: 'evil.example',
    port: 80,
    decision: 'deny',
    outcome: 'denied',
  });
});

test.each([
  ['CONNECT', 'httpProxyPort', Buffer.from('CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n')],
  ['SOCKS5', 'socksProxyPort', Buffer.from('\x05\x01\x00\x05\x01\x00\x03\x0cevil.example\x01\xbb', 'latin1')],
] as const)(
  'a program that goes on before it hears that it may not leaves nothing open, by %s',
  async (_way, port, asks) => {
    await using egress = await openEgress();
    egress.policy.rule = () => denied;
    const open = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = open();
    const socket = connect({ port: egress[port], host: '127.0.0.1' });
    socket.write(Buffer.concat([asks, Buffer.from('what it says next')]));
    await once(socket.resume(), 'close');
    await until('both ends are closed', () => open() <= before);
  },
);

test('to connect anew is no way around the rate', async () => {
  const clock = new SteeredClock();
  await using egress = await openEgress({ clock, limits: { bytesPerSecond: 1_000 } });
  const heard: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void text(socket).then((said) => {
      heard.push(said);
      socket.end();
    });
  });
  await using host = await listen(server);
  for (const said of ['x'.repeat(2_000), 'again']) {
    const { socket } = await egress.tunnel(`some.host:${host.port}`);
    socket.end(said);
    const count = heard.length;
    await until('it is heard', () => {
      if (heard.length === count) clock.advance(count === 0 ? 0 : 50);
      return heard.length > count;
    });
    socket.resume();
    await egress.recorded(count + 1);
  }
  expect(heard.map(({ length }) => length)).toEqual([2_000, 5]);
  expect(clock.elapsed()).toBeGreaterThan(1_000);
});

test.each(['CONNECT', 'SOCKS5'])('a program that ends while its %s is decided waits no more', async (way) => {
  await using egress = await openEgress();
  let held: AbortSignal | undefined;
  egress.policy.rule = (_target, signal) => {
    held = signal;
    return new Promise(() => undefined);
  };
  const [port, greeting] =
    way === 'CONNECT'
      ? [egress.httpProxyPort, 'CONNECT some.host:443 HTTP/1.1\r\n\r\n']
      : [egress.socksProxyPort, '\x05\x01\x00\x05\x01\x00\x03\x09some.host\x01\xbb'];
  const program = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  program.write(greeting, 'latin1');
  await until('it is being decided', () => held !== undefined);
  const gone = closed(program.resume());
  program.end(); // which is all that a sandbox hears of a process that has died
  await until('the decision is given up', () => held?.aborted === true);
  await gone;
  const reason = 'The program gave the connection up.';
  expect(await egress.recorded()).toMatchObject({ decision: 'deny', outcome: 'closed', reason });
});

test('what a program says before it is connected arrives, also where it has ended meanwhile', async () => {
  const asked = Promise.withResolvers<EgressDecision>();
  await using egress = await openEgress();
  egress.policy.rule = () => asked.promise;
  const heard = Promise.withResolvers<string>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void text(socket).then((said) => {
      heard.resolve(said);
      socket.end('heard');
    });
  });
  await using host = await listen(server);
  const program = await egress.proxy();
  program.end(`CONNECT some.host:${host.port} HTTP/1.1\r\n\r\nall at once`);
  await until('it is being decided', () => egress.policy.asked.length === 1);
  asked.resolve(internal);
  expect(await heard.promise).toBe('all at once');
  expect(await text(program)).toMatch(/^HTTP\/1.1 200 .*heard$/s);
});

test('an end on one side leaves the other open', async () => {
  await using egress = await openEgress();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void text(socket).then((said) => socket.end(`got ${said}`));
  });
  await using host = await listen(server);
  const { socket } = await egress.tunnel(`some.host:${host.port}`);
  socket.end('PING all of it');
  expect(await text(socket)).toBe('got PING all of it');
  expect(await egress.recorded()).toMatchObject({ outcome: 'closed', sentBytes: 14, receivedBytes: 18 });
});

test('a host that resets the connection resets it for the program, and the other way round', async () => {
  await using egress = await openEgress();
  const server = createServer();
  await using host = await listen(server);
  const accepted = once(server, 'connection');
  const first = await egress.tunnel(`some.host:${host.port}`);
  first.socket.write('\0');
  const [one] = await accepted;
  const reset = closed(first.socket);
  one.resetAndDestroy();
  await reset;
  expect(first.socket.readableEnded).toBe(false);

  const again = once(server, 'connection');
  const second = await egress.tunnel(`some.host:${host.port}`);
  second.socket.write('\0');
  const [two] = await again;
  two.on('error', () => undefined);
  two.resume();
  const gone = closed(two);
  second.socket.resetAndDestroy();
  await gone;
  expect(two.readableEnded).toBe(false);
});

test('a connection that is cut just when its end is on the way to the host is closed', async () => {
  const dialled = Promise.withResolvers<Socket>();
  await using egress = await openEgress({
    async connectTo(...address) {
      const upstream = await connectTcp(...address);
      const end = upstream.end.bind(upstream);
      upstream.end = () => {
        end();
        egress.policy.rule = () => denied;
        egress.policy.change();
        return upstream;
      };
      dialled.resolve(upstream);
      return upstream;
    },
  });
  await using host = await listen(createServer({ allowHalfOpen: true }, (socket) => void socket.resume()));
  const { socket } = await egress.tunnel(`some.host:${host.port}`);
  const over = dialled.promise.then(async (upstream) => {
    await once(upstream, 'close');
    return upstream;
  });
  socket.end('PING');
  expect((await over).errored).toBeNull();
  expect(await egress.recorded()).toMatchObject({ outcome: 'revoked' });
});

test('a host that speaks first is heard, where an operator has named it', async () => {
  await using egress = await openEgress();
  const server = createServer((socket) => socket.end('220 welcome\r\n'));
  await using host = await listen(server);
  const { socket } = await egress.tunnel(`some.host:${host.port}`);
  expect(await text(socket)).toBe('220 welcome\r\n');
});

test('a program that reads nothing holds its host back, and others go on', async () => {
  await using egress = await openEgress();
  let written = 0;
  const server = createServer((socket) => {
    const fill = (): void => {
      while (!socket.destroyed && written < 256 * 1024 * 1024) {
        written += 65_536;
        if (!socket.write(Buffer.alloc(65_536))) return void socket.once('drain', fill);
      }
    };
    socket.on('error', () => undefined);
    fill();
  });
  await using host = await listen(server);
  const { socket } = await egress.tunnel(`some.host:${host.port}`);
  socket.pause();
  let before = -1;
  await until('the host is held back', async () => {
    const isStill = before === written && written > 0;
    before = written;
    return isStill;
  });
  expect(written).toBeLessThan(32 * 1024 * 1024);
  const other = await egress.tunnel(`other.host:${host.port}`);
  other.socket.resume();
  await once(other.socket, 'data');
});

test('500 connections at once go through, the model has its own places beside them, and those above the limit hear so', async () => {
  await using egress = await openEgress();
  const server = createServer((socket) => socket.on('data', (chunk) => void socket.write(chunk)));
  await using host = await listen(server);
  const model = serveOutward(
    await egress.running.socket('outward'),
    (stream) => {
      stream.respond({ ':status': 200 });
      stream.end('a model');
    },
    { onHandlerError: () => undefined },
  );
  const sockets: Socket[] = [];
  while (sockets.length < mostEgressConnections) {
    const opened = await Promise.all(Array.from({ length: 32 }, () => egress.tunnel(`some.host:${host.port}`)));
    sockets.push(...opened.map(({ socket }) => socket));
  }
  const echoed = await Promise.all(
    sockets.map(async (socket, index) => {
      socket.write(`\0${index}`);
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      return chunk.toString();
    }),
  );
  expect(echoed).toEqual(sockets.map((_, index) => `\0${index}`));
  const { status, text: said } = await egress.tunnel(`some.host:${host.port}`);
  expect([status, said]).toEqual([429, expect.stringContaining('512 connections')]);
  const answer = await fetch(`http://127.0.0.1:${egress.running.guest.modelPort}/v1/models`);
  expect(await answer.text()).toBe('a model');
  await model.close();
});

test('a program asks while no control plane is there, and goes through when there is one', async () => {
  await using running = await runGuest();
  const asking = curl(['-x', `http://127.0.0.1:${running.guest.proxyPorts.http}`, 'http://some.host/']);
  const wire = serveOutward(
    await running.socket('egress'),
    (stream) => {
      stream.respond({ ':status': 403, 'content-type': 'application/json' });
      stream.end(JSON.stringify(new CaissonError('EGRESS_DENIED', 'It is back.')));
    },
    { channel: 'egress', onHandlerError: () => undefined },
  );
  expect(await asking).toContain('It is back.');
  await wire.close();
});

test('a wire that is lost resets the connections that it carried', async () => {
  await using egress = await openEgress();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('220 welcome');
  });
  await using host = await listen(server);
  const { socket } = await egress.tunnel(`some.host:${host.port}`);
  await once(socket, 'data');
  const gone = closed(socket);
  egress.cutWire();
  await gone;
  expect(socket.readableEnded).toBe(false);
  expect(await egress.recorded()).toMatchObject({ outcome: 'closed' });
});

test('plain HTTP that its wire or its program leaves in the middle has ended, and was not refused', async () => {
  for (const leaves of ['wire', 'program'] as const) {
    await using egress = await openEgress();
    const server = createHttpServer((_request, response) => void response.write('the beginning'));
    await using host = await listen(server);
    const { socket } = await egress.tunnel(`some.host:${host.port}`);
    socket.write(`GET / HTTP/1.1\r\nHost: some.host:${host.port}\r\n\r\n`);
    await once(socket, 'data');
    if (leaves === 'wire') egress.cutWire();
    else socket.resetAndDestroy();
    expect(await egress.recorded()).toMatchObject({ outcome: 'closed', reason: null });
  }
});
