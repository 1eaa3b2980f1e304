import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { boundBodyTime } from '../../../src/controlplane/http/body-time.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** Sends `head` and the beginning of a body to a server that reads it; the answer comes when the server ends. */
async function send(head: string) {
  const server = createServer((request, response) => {
    boundBodyTime(request);
    request.resume().once('end', () => response.writeHead(204, { connection: 'close' }).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const asked = once(server, 'request');
  socket.write(`${head}\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345`);
  const answer = text(socket);
  await asked;
  return { answer, socket, [Symbol.dispose]: () => void server.close() };
}

test.each(['POST /trpc/agents.create HTTP/1.1', 'GET /v1/agents/agt_1/file HTTP/1.1', 'PUT /v1/other HTTP/1.1'])(
  '%s whose body does not end within 60 s is given up with 408',
  async (head) => {
    using sent = await send(head);
    vi.advanceTimersByTime(59_999);
    expect(sent.socket.readableEnded).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await sent.answer).toMatch(/^HTTP\/1.1 408 [^]*"BAD_REQUEST"/);
  },
);

test('a body that ends in time is not given up, however long its answer takes', async () => {
  using sent = await send('POST /trpc/agents.create HTTP/1.1');
  sent.socket.write('67890');
  expect(await sent.answer).toMatch(/^HTTP\/1.1 204 /);
  expect(vi.getTimerCount()).toBe(0);
});

test.each(['file?path=x', 'archive?path=x'])('PUT of %s may take longer: its route sees to it', async (what) => {
  using sent = await send(`PUT /v1/agents/agt_1/${what} HTTP/1.1`);
  expect(vi.getTimerCount()).toBe(0);
  sent.socket.write('67890');
  expect(await sent.answer).toMatch(/^HTTP\/1.1 204 /);
});
