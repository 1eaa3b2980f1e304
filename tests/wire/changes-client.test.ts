import { createServer, type ServerHttp2Stream } from 'node:http2';
import { once } from 'node:events';
import { createServer as createSocketServer, connect, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { GuestClient } from '../../src/wire/guest-client.ts';

/** A client of a guest that answers everything with this. */
async function askedOf(
  answer: (stream: ServerHttp2Stream) => void,
): Promise<{ client: GuestClient } & AsyncDisposable> {
  const http2 = createServer();
  http2.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.resume();
    answer(stream);
  });
  const listener = createSocketServer((socket) => http2.emit('connection', socket)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = new GuestClient(connect((listener.address() as AddressInfo).port, '127.0.0.1'));
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      listener.close();
    },
  };
}

const page = { changes: [], repositories: [], total: 0, nextAfter: null, leftOut: [], leftOutTotal: 0 };
const request = { since: 'commit' as const, paths: [], limit: 1, after: null };

test.for([
  ['no JSON', 'what?'],
  ['nothing but brackets', '['.repeat(4 * 1024 * 1024)],
  ['too much', ' '.repeat(11 * 1024 * 1024)],
  ['too many changes', JSON.stringify({ ...page, changes: Array.from({ length: 501 }, () => ({})) })],
  ['a path that is none', JSON.stringify({ ...page, nextAfter: 'x'.repeat(5_000) })],
  ['another total', JSON.stringify({ ...page, total: -1 })],
] as const)('a guest that answers with %s is refused', async ([, text]) => {
  await using guest = await askedOf((stream) => {
    stream.respond({ ':status': 200 });
    stream.end(text);
  });
  await expect(guest.client.changes.status(request)).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
});

test('a guest that goes away in the middle is WIRE_LOST', async () => {
  await using guest = await askedOf((stream) => {
    stream.respond({ ':status': 200 });
    stream.write('{');
    setImmediate(() => stream.session?.destroy());
  });
  await expect(guest.client.changes.diff({ ...request, context: 3 })).rejects.toMatchObject({ code: 'WIRE_LOST' });
});
