import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { mostPortConnections } from '../../src/wire/contract/ports.ts';
import { until } from '../until.ts';
import { runGuest } from './running-guest.ts';

interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Set<Socket>;
}

/** A TCP server on loopback whose connections may be closed in halves. */
async function serve(onConnection: (socket: Socket) => void, host = '127.0.0.1'): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  await using server = await serve(() => undefined);
  return server.port;
}

test('bytes pass both ways, and each half ends by itself', async () => {
  await using running = await runGuest();
  const client = await running.client();
  // Answers only once it has heard the end.
  await using server = await serve((socket) => {
    void text(socket).then((heard) => socket.end(`heard ${heard}`));
  });
  const connection = await client.ports.connect(server.port);
  connection.end('all of it');
  expect(await text(connection)).toBe('heard all of it');
  await until('the server lets go', () => server.sockets.size === 0);
});

test('a server that only listens on ::1 is reached', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await using server = await serve((socket) => socket.end('six'), '::1');
  const connection = await client.ports.connect(server.port);
  connection.end();
  expect(await text(connection)).toBe('six');
});

test('a port that nobody listens on, the own ports of the guest, and other hosts are refused', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await expect(client.ports.connect(await freePort())).rejects.toMatchObject({ code: 'PORT_NOT_LISTENING' });
  await expect(client.ports.connect(running.guest.modelPort)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  for (const port of [0, 65_536, 1.5]) {
    await expect(client.ports.connect(port)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  }
});

test('64 MiB arrive whole while the reader takes its time, and the server is held back meanwhile', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const size = 64 * 1024 * 1024;
  let sent = 0;
  await using server = await serve((socket) => {
    const block = Buffer.alloc(64 * 1024, 7);
    const push = (): void => {
      while (sent < size) {
        sent += block.length;
        if (!socket.write(block)) return void socket.once('drain', push);
      }
      socket.end();
    };
    push();
  });
  const connection = await client.ports.connect(server.port);
  await once(connection, 'readable');
  let before = -1;
  await until('the server is held back', async () => {
    const unmoved = before === sent;
    before = sent;
    await client.health();
    return unmoved;
  });
  expect(sent).toBeLessThan(size);
  let received = 0;
  for await (const chunk of connection) received += (chunk as Buffer).length;
  expect(received).toBe(size);
});

test('a connection that the server resets breaks, and does not just end', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await using server = await serve((socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  const connection = await client.ports.connect(server.port);
  connection.write('x');
  await expect(text(connection)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('a caller that leaves in the middle resets the connection of the server', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const broken = Promise.withResolvers<void>();
  await using server = await serve((socket) => {
    socket.on('error', () => broken.resolve());
    socket.write('x'.repeat(1000));
  });
  const connection = await client.ports.connect(server.port);
  await once(connection, 'readable');
  connection.destroy();
  await broken.promise;
});

test('the loss of the wire breaks a connection at both ends', async () => {
  await using running = await runGuest();
  const client = await running.client();
  const broken = Promise.withResolvers<void>();
  await using server = await serve((socket) => {
    socket.on('error', () => broken.resolve());
    socket.write('x');
  });
  const connection = await client.ports.connect(server.port);
  const reading = expect(text(connection)).rejects.toThrow();
  await client.close();
  await reading;
  await broken.promise;
});

test('above the limit of connections a further one is refused, and a place that is given back is taken', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await using server = await serve((socket) => socket.resume());
  const open = await Promise.all(Array.from({ length: mostPortConnections }, () => client.ports.connect(server.port)));
  await expect(client.ports.connect(server.port)).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  open[0]?.destroy();
  const again = await until('a place', () => client.ports.connect(server.port).catch(() => undefined));
  for (const connection of [...open, again]) connection.destroy();
});

test('what listens is listed with its address and the process that has it; the own ports of the guest are not', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await using server = await serve(() => undefined);
  const ports = await client.ports.list();
  expect(ports.find(({ port }) => port === server.port)).toMatchObject({
    pid: process.pid,
    addresses: ['127.0.0.1'],
    command: expect.stringContaining('node') as string,
  });
  expect(ports.map(({ port }) => port)).not.toContain(running.guest.modelPort);
  expect(ports.map(({ port }) => port)).toEqual(ports.map(({ port }) => port).toSorted((a, b) => a - b));
});

test('thousands of connections that are let go in a burst do not end the session, as HTTP/2 servers do by default', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await using server = await serve((socket) => socket.resume());
  for (let n = 0; n < 60; n++) {
    const open = await Promise.all(Array.from({ length: 50 }, () => client.ports.connect(server.port)));
    for (const connection of open) connection.destroy();
    await until('all places are free', () => server.sockets.size === 0);
  }
  expect(client.isOpen).toBe(true);
});
