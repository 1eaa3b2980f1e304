import { once } from 'node:events';
import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { expect, test } from 'vitest';
import { connectHttp2 } from '../../src/wire/connect-http2.ts';
import { openStream } from '../../src/wire/requests.ts';
import { serveOutward } from '../../src/wire/serve-outward.ts';

/** Two ends of a stream of bytes. What the first writes in one go comes in one piece, as from a pipe. */
function pipedPair(): ReturnType<typeof duplexPair> {
  const [near, middle] = duplexPair();
  const [other, far] = duplexPair();
  let written: Buffer[] = [];
  middle.on('data', (piece: Buffer) => {
    if (written.push(piece) > 1) return;
    setImmediate(() => {
      other.write(Buffer.concat(written));
      written = [];
    });
  });
  other.pipe(middle);
  return [near, far];
}

/** A guest's session, and what the control plane does with a stream of it. */
async function openWire(handler: (stream: ServerHttp2Stream) => void, [near, far] = duplexPair()) {
  const server = serveOutward(far, handler, { onHandlerError: () => undefined });
  const client = connectHttp2(near);
  await once(client.session, 'remoteSettings');
  return {
    open: (): ClientHttp2Stream =>
      openStream(client.session, { headers: { ':method': 'POST', ':path': '/' }, endStream: false }),
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close();
    },
  };
}

/** Each in a frame of its own. */
async function say(stream: ClientHttp2Stream, pieces: number, text = '.'): Promise<void> {
  for (let said = 0; said < pieces && !stream.closed; said++) {
    await new Promise<void>((resolve) => stream.write(text, () => resolve()));
  }
}

test('a byte that is held does not hold the read that it came in', async () => {
  const held: Buffer[] = [];
  let streams = 0;
  await using wire = await openWire((stream) => {
    streams++;
    stream.on('data', (piece: Buffer) => {
      if (piece.length === 1) held.push(piece);
    });
  }, pipedPair());
  const [small, large] = [wire.open(), wire.open()];
  await expect.poll(() => streams).toBe(2);
  for (let round = 0; round < 20; round++) {
    small.write('.');
    large.write('x'.repeat(8_000));
    await expect.poll(() => held.length).toBe(round + 1);
  }
  expect(Math.max(...held.map(({ buffer }) => buffer.byteLength))).toBe(1);
});

test('a stream of which thousands of bytes come one by one, and nobody reads them, is given up', async () => {
  await using wire = await openWire((stream) => void stream.pause());
  const [unread, other] = [wire.open(), wire.open()];
  const closed = once(unread, 'close');
  await say(unread, 3_000);
  await closed;
  expect(unread.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect([other.closed, other.destroyed]).toEqual([false, false]);
});

test('a stream goes on of which as many bytes come one by one, and are read', async () => {
  let read = 0;
  await using wire = await openWire((stream) => void stream.on('data', (piece: Buffer) => (read += piece.length)));
  const stream = wire.open();
  await say(stream, 3_000);
  await expect.poll(() => read).toBe(3_000);
  expect(stream.closed).toBe(false);
});

test('a stream goes on whose reader is always a little behind', async () => {
  let read = 0;
  await using wire = await openWire((stream) => {
    const take = (): void => {
      if (stream.destroyed) return;
      if (stream.readableLength > 1) read += (stream.read(stream.readableLength - 1) as Buffer).length;
      setImmediate(take);
    };
    take();
  });
  const stream = wire.open();
  await say(stream, 3_000);
  await expect.poll(() => read).toBe(2_999);
  expect(stream.closed).toBe(false);
});
