import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHttpServer } from '../../../src/controlplane/http/http-server.ts';
import { OpenConnections } from '../../../src/controlplane/http/open-connections.ts';
import { until } from '../../until.ts';

let server: Server;
/** Of `/slow`. */
let slow: ServerResponse[];

const answer = async (what: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const body = await text(request);
  if (request.url === '/slow') slow.push(response);
  else response.end(`${what}:${request.method} ${request.url} ${body};`);
};

beforeEach(async () => {
  slow = [];
  server = createHttpServer({
    api: (request, response) => void answer('api', request, response),
    previews: {
      covers: (host) => host === 'preview',
      handle: (request, response) => void answer('preview', request, response),
      upgrade: () => undefined,
    },
    connections: new OpenConnections(),
  });
  server.on('upgrade', (_request, socket) => socket.end('upgraded'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function open(sent: string) {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => (received += String(chunk)));
  socket.write(sent);
  return { socket, received: () => received, [Symbol.dispose]: () => void socket.destroy() };
}

const h2c = 'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n';
const handshake = 'GET /socket HTTP/1.1\r\nhost: api\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\n\r\n';

test.each([
  ['GET', 'api', '\r\n', ''],
  ['GET', 'preview', '\r\n', ''],
  ['POST', 'api', 'content-length: 5\r\n\r\nhello', 'hello'],
  ['POST', 'preview', 'content-length: 5\r\n\r\nhello', 'hello'],
  ['PUT', 'preview', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 'hello'],
])(
  '%s to %s of a client that offers h2c is answered, and so is what comes after it',
  async (method, host, rest, body) => {
    using client = open(`${method} / HTTP/1.1\r\nhost: ${host}\r\n${h2c}${rest}`);
    await until('the answer', () => client.received().includes(`${host}:${method} / ${body};`));
    client.socket.write(`GET /next HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    await until('the next answer', () => client.received().includes(`${host}:GET /next ;`));
  },
);

test('POST with the headers of a handshake is a request as any other', async () => {
  using client = open(
    'POST / HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nhi',
  );
  await until('the answer', () => client.received().includes('api:POST / hi;'));
});

test('a handshake behind a request under way does not take its answer away', async () => {
  using client = open(`GET /slow HTTP/1.1\r\nhost: api\r\n\r\n${handshake}`);
  await until('the request', () => slow.length === 1);
  slow[0]?.end('slow;');
  await until('both answers', () => client.received().includes('api:GET /socket ;'));
  expect(client.received()).toMatch(/^HTTP\/1.1 200 [^]*slow;HTTP\/1.1 200 [^]*api:GET \/socket ;/);
});

test('a handshake on a connection that owes no answer any more is one', async () => {
  using client = open('GET / HTTP/1.1\r\nhost: api\r\n\r\n');
  await until('the answer', () => client.received().includes('api:GET / ;'));
  client.socket.write(handshake);
  await until('the upgrade', () => client.received().endsWith('upgraded'));
});
