import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { OpenConnections } from '../../../src/controlplane/http/open-connections.ts';
import { until } from '../../until.ts';

async function serve(listener: RequestListener) {
  const server = createServer();
  const connections = new OpenConnections();
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  connections.serve(server, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    connections,
    sockets,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

/** The bodies of the answers so far. */
function reader(socket: Socket): () => string[] {
  let received = '';
  socket.on('data', (chunk) => (received += String(chunk)));
  return () => [...received.matchAll(/\r\n\r\n(\/\d+)/g)].map(([, path = '']) => path);
}

test.each([
  ['without bodies', (at: number) => get(`/${at}`)],
  ['with bodies', (at: number) => post(`/${at}`, 'x'.repeat(1_500))],
])('a connection with many requests %s is not read any further, and none is lost', async (_what, request) => {
  const many = 10_000;
  const requests = Array.from({ length: many }, (_, at) => request(at)).join('');
  const underWay = new Map<string, ServerResponse>();
  let most = 0;
  let isReleased = false;
  await using server = await serve((incoming, response) => {
    const { url = '' } = incoming;
    if (url === '/beside') return void response.end('beside');
    incoming.resume();
    underWay.set(url, response);
    most = Math.max(most, underWay.size);
    response.once('close', () => underWay.delete(url));
    if (isReleased) response.end(url);
  });
  const socket = connect(server.port, '127.0.0.1');
  const answered = reader(socket);
  socket.write(requests);
  await until('16 requests', () => underWay.size === 16);
  // Time enough to read far more than a few chunks.
  for (let round = 0; round < 50; round++) {
    expect(await (await fetch(`http://127.0.0.1:${server.port}/beside`)).text()).toBe('beside');
  }
  expect(underWay.size).toBe(16);
  expect(server.sockets[0]?.bytesRead).toBeLessThanOrEqual(4 * 65_536);

  isReleased = true;
  for (const [url, response] of underWay) response.end(url);
  await until('all answers', () => answered().length === many);
  expect(answered()).toEqual(Array.from({ length: many }, (_, at) => `/${at}`));
  expect(most).toBe(16);
  socket.destroy();
});

test('what waits on a connection that is closed is never begun', async () => {
  const begun: ServerResponse[] = [];
  let closed = 0;
  await using server = await serve((_request, response) => {
    begun.push(response);
    response.once('close', () => closed++);
  });
  const socket = connect(server.port, '127.0.0.1');
  socket.write(get('/1').repeat(100));
  await until('16 requests', () => begun.length === 16);
  server.sockets[0]?.destroy();
  await until('their end', () => closed === 16);
  expect(begun).toHaveLength(16);
});
