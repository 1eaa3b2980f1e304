import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { forwardConnection } from '../../src/cli/forward-connection.ts';
import { refusalOf, writeRefusal } from '../../src/controlplane/http/refusals.ts';
import { CaissonError } from '../../src/kernel/errors.ts';

const allBytes = 64 * 1024 * 1024;
const silenceMs = 45_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A control plane whose port says `allBytes` at once, and then nothing more. */
async function talkative(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createHttpServer();
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'caisson.v1' });
  sockets.on('connection', (socket) => {
    const piece = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < allBytes; sent += piece.length) socket.send(piece);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

async function pair(): Promise<Disposable & { readonly near: Socket; readonly far: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  near.on('error', () => undefined); // it is reset in the end
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  const end = (): void => void [near, far].map((socket) => socket.destroy());
  return { near, far, [Symbol.dispose]: end };
}

test('a reader that takes its time is not taken for a silent control plane, which is told when all is read', async () => {
  await using there = await talkative();
  using sockets = await pair();
  const paused = vi.spyOn(WebSocket.prototype, 'pause').mock.contexts as WebSocket[];
  const target = { url: there.url, apiKey: 'ck_x', agentId: 'agt-x', port: 80 };
  const over = forwardConnection(sockets.far, target);
  const silent = expect(over).rejects.toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE' });
  while (paused.at(-1)?.isPaused !== true) await turn();
  vi.advanceTimersByTime(2 * silenceMs);
  let bytes = 0;
  const read = new Promise<void>((resolve) => {
    sockets.near.once('close', resolve).on('data', (data) => {
      bytes += data.length;
      if (bytes === allBytes) resolve();
    });
  });
  sockets.near.resume();
  await read;
  expect(bytes).toBe(allBytes);
  while (paused.at(-1)?.isPaused === true) await turn();
  vi.advanceTimersByTime(silenceMs);
  await silent;
});

test('a sandbox that is looked for in vain for 120 s is told in the control plane’s own words', async () => {
  const server = createHttpServer();
  const asked = Promise.withResolvers<Duplex>();
  server.on('upgrade', (_request, socket) => asked.resolve(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  using sockets = await pair();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const over = forwardConnection(sockets.far, { url, apiKey: 'ck_x', agentId: 'agt-x', port: 80 });
  const told = expect(over).rejects.toMatchObject({ code: 'WIRE_LOST', message: 'The sandbox does not answer.' });
  const socket = await asked.promise;
  vi.advanceTimersByTime(120_000);
  writeRefusal(socket, refusalOf(new CaissonError('WIRE_LOST', 'The sandbox does not answer.')));
  await told;
  server.close();
});

test('what comes in one piece with the handshake is not lost', async () => {
  const server = createHttpServer();
  server.on('upgrade', (request, socket) => {
    const proof = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${proof}\r\nSec-WebSocket-Protocol: caisson.v1\r\n\r\n`;
    const frame = (kind: number, content: string): Buffer =>
      Buffer.concat([Buffer.from([0x80 | kind, content.length]), Buffer.from(content)]);
    socket.write(Buffer.concat([Buffer.from(head), frame(2, 'SSH-2.0'), frame(1, 'end')]));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  using sockets = await pair();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const over = forwardConnection(sockets.far, { url, apiKey: 'ck_x', agentId: 'agt-x', port: 22 });
  expect(await text(sockets.near)).toBe('SSH-2.0');
  sockets.near.end();
  server.closeAllConnections();
  server.close();
  await over.catch(() => undefined); // it broke off with the server
});
