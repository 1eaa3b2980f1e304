import { connect } from 'node:http2';
import { duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { connectHttp2 } from '../../src/wire/connect-http2.ts';
import { openStream, responseStatus } from '../../src/wire/requests.ts';
import { Transport } from '../../src/wire/transport.ts';
import { type OutwardHandler, serveOutward } from '../../src/wire/serve-outward.ts';

function outwardPair(handler: OutwardHandler) {
  const [near, far] = duplexPair();
  const errors: unknown[] = [];
  const control = serveOutward(near, handler, { onHandlerError: (thrown) => errors.push(thrown) });
  const guest = connectHttp2(new Transport(far));
  return {
    errors,
    control,
    ask: (path: string) => openStream(guest.session, { headers: { ':path': path }, endStream: true }),
    async [Symbol.asyncDispose]() {
      await Promise.all([guest.close(), control.close()]);
    },
  };
}

test('the handler answers what the guest asks', async () => {
  await using pair = outwardPair((stream, headers) => {
    stream.respond();
    stream.end(`you asked for ${headers[':path']}`);
  });
  expect((await buffer(pair.ask('/model/v1'))).toString()).toBe('you asked for /model/v1');
});

test('a handler that throws breaks its own answer only', async () => {
  await using pair = outwardPair((stream, headers) => {
    if (headers[':path'] === '/sync') throw new Error('sync');
    if (headers[':path'] === '/async') return Promise.reject(new Error('async'));
    stream.respond();
    stream.end('fine');
    return undefined;
  });
  await expect(responseStatus(pair.ask('/sync'))).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await expect(responseStatus(pair.ask('/async'))).rejects.toMatchObject({ code: 'WIRE_LOST' });
  expect((await buffer(pair.ask('/'))).toString()).toBe('fine');
  expect(pair.errors).toEqual([new Error('sync'), new Error('async')]);
});

test('headers above the bound never reach the handler', async () => {
  const [near, far] = duplexPair();
  const seen: string[] = [];
  const control = serveOutward(
    near,
    (stream, headers) => {
      seen.push(String(headers[':path']));
      stream.respond();
      stream.end('fine');
    },
    { onHandlerError: () => undefined },
  );
  const session = connect('http://guest', {
    createConnection: () => new Transport(far),
    maxSendHeaderBlockLength: 1024 * 1024,
  });
  const fields = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`x-${i}`, 'y'.repeat(16_000)]));
  const tooLarge = session.request({ ':path': '/large', ...fields });
  tooLarge.on('error', () => undefined);
  await new Promise((resolve) => tooLarge.once('close', resolve));
  expect((await buffer(session.request({ ':path': '/small' }))).toString()).toBe('fine');
  expect(seen).toEqual(['/small']);
  session.destroy();
  await control.closed;
});
