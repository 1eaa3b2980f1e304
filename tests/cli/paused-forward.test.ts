import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { forwardConnection } from '../../src/cli/forward-connection.ts';
import { OpenCalls } from '../../src/controlplane/api/open-calls.ts';
import { serveWebSockets } from '../../src/controlplane/http/web-sockets.ts';
import { newAgentId } from '../../src/kernel/ids.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { noAudit } from '../controlplane/no-audit.ts';
import { aPrincipal } from '../controlplane/principals.ts';
import { until } from '../until.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const bytes = 1024 * 1024;

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('a forwarded connection whose local reader pauses is not taken for gone, though it reads no ping', async () => {
  const accepted = Promise.withResolvers<WebSocket>();
  const plane = createHttpServer().on(
    'upgrade',
    serveWebSockets({
      ...noAudit,
      routes: [{ path: '/v1/agents/:agentId/ports/:port/connect', needs: 'use', accept: async () => accepted.resolve }],
      isAcceptedHost: () => true,
      admit: async () => aPrincipal(),
      identify: async () => aPrincipal(),
      ready: Promise.resolve(),
      subscriptions: new OpenCalls({ what: 'subscriptions', limits: { perKey: 2, inAll: 10 } }),
      logger: silentLogger,
    }),
  );
  const near = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const url = `http://127.0.0.1:${await listen(plane)}`;
  const nearPort = await listen(near);
  const connected = once(near, 'connection') as Promise<[Socket]>;
  const reader = connect(nearPort, '127.0.0.1');
  const [local] = await connected;
  local.cork(); // it takes no more than its own buffer
  const forwarded = forwardConnection(local, { url, apiKey: 'ck_x', agentId: newAgentId(), port: 80 });
  const side = await accepted.promise;
  let signs = 0;
  side.on('pong', () => signs++);
  reader.write('hello');
  await once(side, 'message');
  for (let sent = 0; sent < bytes; sent += bytes / 16) side.send(Buffer.alloc(bytes / 16));
  await until('the rest lies in the buffers of the system', () => side.bufferedAmount === 0);
  for (let round = 0; round < 5; round++) {
    const before = signs;
    vi.advanceTimersByTime(20_000);
    await until('a sign of life', () => signs > before);
    expect(side.readyState).toBe(side.OPEN);
  }
  local.uncork();
  let received = 0;
  reader.on('data', (piece: Buffer) => (received += piece.length));
  side.send('end');
  reader.end();
  await Promise.all([forwarded, once(reader, 'end')]);
  expect(received).toBe(bytes);
  near.close();
  plane.close();
});
