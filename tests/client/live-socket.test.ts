import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type WebSocket as ServedSocket, WebSocketServer } from 'ws';
import { createEndpoint } from '../../src/client/endpoint.ts';
import { LiveSocket, type SocketEnd } from '../../src/client/live-socket.ts';
import { until } from '../until.ts';

let server: WebSocketServer;
beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
});
afterEach(() => {
  vi.useRealTimers();
  for (const socket of server.clients) socket.terminate();
  server.close();
});

/** An open socket: both sides of it, the platform's own, and what was heard. */
async function open() {
  const { port } = server.address() as AddressInfo;
  const endpoint = createEndpoint({ url: `http://127.0.0.1:${port}`, apiKey: 'ck_x' });
  const sockets: WebSocket[] = [];
  const openWebSocket = (path: string): WebSocket => {
    const socket = endpoint.openWebSocket(path);
    sockets.push(socket);
    return socket;
  };
  const heard: string[] = [];
  const ends: SocketEnd[] = [];
  const connected = once(server, 'connection') as Promise<[ServedSocket]>;
  const opened = Promise.withResolvers<void>();
  const live = new LiveSocket(
    { ...endpoint, openWebSocket },
    {
      path: '/v1/somewhere',
      onOpen: opened.resolve,
      onText: (text) => heard.push(text),
      onBytes: () => heard.push('bytes'),
      onEnd: (end) => ends.push(end),
    },
  );
  const [[side]] = await Promise.all([connected, opened.promise]);
  return { live, side, platform: sockets[0], heard, ends };
}

test('a socket on which nothing comes for 45 s is over, and is closed, so that the other end may learn of it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { side, ends } = await open();
  const closed = once(side, 'close');
  await vi.advanceTimersByTimeAsync(44_999);
  expect(ends).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(ends).toMatchObject([{ wasOpen: true, silence: { code: 'CONTROL_PLANE_UNREACHABLE' } }]);
  await closed;
  expect(ends).toHaveLength(1);
});

test('it may take 120 s to open, since the sandbox behind it may have to be looked for', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const asked = Promise.withResolvers<() => void>();
  server.options.verifyClient = (_info, accept) => asked.resolve(() => accept(true));
  const opening = open();
  const accept = await asked.promise;
  await vi.advanceTimersByTimeAsync(120_000);
  accept();
  const { ends } = await opening;
  await vi.advanceTimersByTimeAsync(44_999);
  expect(ends).toEqual([]);
});

test('nothing is heard after the end', async () => {
  const { live, side, platform, heard, ends } = await open();
  side.send('before');
  await until('it is heard', () => heard.length > 0);
  live.close();
  platform?.dispatchEvent(new MessageEvent('message', { data: 'late' })); // as if it had been on its way
  platform?.dispatchEvent(new MessageEvent('message', { data: new ArrayBuffer(1) }));
  expect(heard).toEqual(['before']);
  expect(ends).toEqual([{ code: 1000, reason: '', wasOpen: true }]);
});
