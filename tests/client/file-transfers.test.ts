import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type CaissonClient, createCaissonClient } from '../../src/client/index.ts';

let server: Server;
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

async function clientOf(listener: RequestListener): Promise<CaissonClient> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return createCaissonClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'k' });
}

const where = { agentId: 'agt_1', path: 'x' };
const endless = (onCancel?: () => void) =>
  new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
    ...(onCancel === undefined ? {} : { cancel: onCancel }),
  });

test.each([
  ['a stream', endless],
  ['bytes', () => new Uint8Array(64 * 1024 * 1024)],
])('an upload of %s whose connection breaks is TRANSFER_BROKEN: somebody did answer there', async (_what, body) => {
  const client = await clientOf((request) => request.once('data', () => request.socket.resetAndDestroy()));
  await expect(client.files.upload({ ...where, body: body() })).rejects.toMatchObject({
    code: 'TRANSFER_BROKEN',
    retryable: true,
    message: expect.stringMatching(/^The upload broke off: /),
  });
});

test.for([
  { start: 0, end: 0 },
  { start: 5, end: 5 },
  { start: 5, end: 3 },
  { start: -1 },
  { start: 1.5 },
  { end: Number.NaN },
])('a download of %j is BAD_REQUEST: HTTP answers such a range with the whole file', async (range) => {
  let requests = 0;
  const client = await clientOf(() => (requests += 1));
  await expect(client.files.download({ ...where, ...range })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  expect(requests).toBe(0);
});

test.each(['download', 'downloadArchive'] as const)(
  'a connection that breaks before the answer of a %s is TRANSFER_BROKEN: somebody did take it there',
  async (call) => {
    const client = await clientOf((request) => request.socket.resetAndDestroy());
    await expect(client.files[call](where)).rejects.toMatchObject({
      code: 'TRANSFER_BROKEN',
      retryable: true,
      message: expect.stringMatching(/^The download broke off: /),
    });
  },
);

test('an upload to where nobody listens is CONTROL_PLANE_UNREACHABLE', async () => {
  const client = await clientOf(() => undefined);
  server.close();
  await once(server, 'close');
  await expect(client.files.upload({ ...where, body: endless() })).rejects.toMatchObject({
    code: 'CONTROL_PLANE_UNREACHABLE',
  });
});

test("an answer ends the reading of the caller's stream", async () => {
  const client = await clientOf((request, response) => {
    const text = JSON.stringify({ error: { data: { caisson: { code: 'FILE_EXISTS', message: 'It exists.' } } } });
    request.resume();
    response.writeHead(409, { 'content-type': 'application/json', 'content-length': text.length }).write(text);
  });
  const { promise: canceled, resolve: onCancel } = Promise.withResolvers<void>();
  await expect(client.files.upload({ ...where, body: endless(onCancel) })).rejects.toMatchObject({
    code: 'FILE_EXISTS',
  });
  await canceled;
});
