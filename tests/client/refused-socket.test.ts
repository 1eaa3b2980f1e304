import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createCaissonClient } from '../../src/client/index.ts';
import { newAgentId } from '../../src/kernel/ids.ts';

/** Answers calls, and refuses WebSockets. */
async function refusing(health: number): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer(({ url }, response) => {
    if (url === '/healthz') response.writeHead(health).end('{}');
    else response.setHeader('content-type', 'application/json').end('{"result":{"data":{}}}');
  });
  server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test.each([
  [503, 'STORAGE_UNAVAILABLE', 'can store nothing'],
  [200, 'CONTROL_PLANE_UNREACHABLE', 'not to a WebSocket'],
])(
  'a process whose WebSocket is refused says why, where the health of the control plane is %i',
  async (health, code, message) => {
    await using server = await refusing(health);
    const client = createCaissonClient({ url: server.url, apiKey: 'ck_of-the-test' });
    const spawned = client.processes.spawn({ agentId: newAgentId(), command: ['true'] });
    await expect(spawned).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  },
);
