import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { connectHttp2 } from '../../src/wire/connect-http2.ts';
import { inwardServerOptions } from '../../src/wire/http2-settings.ts';
import { openStream } from '../../src/wire/requests.ts';
import { serveHttp2, type StreamHandler } from '../../src/wire/serve-http2.ts';
import { Transport } from '../../src/wire/transport.ts';

const serve = (duplex: Duplex, handler: StreamHandler) => serveHttp2(duplex, { handler, bounds: inwardServerOptions });
const echo: StreamHandler = (stream) => {
  stream.respond();
  stream.pipe(stream);
};

test('a byte stream that ends while it cannot be ended closes the session and its streams', async () => {
  const [near, far] = duplexPair();
  // Its writes arrive, but its end never does: like a connection to a host that is gone.
  const stuck = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => void near.write(chunk, done),
    final: () => undefined,
  });
  near.on('data', (chunk) => stuck.push(chunk));
  near.once('end', () => stuck.push(null));
  const server = serve(new Transport(far), (stream) => stream.respond());
  const wire = connectHttp2(new Transport(stuck));
  const streams = [1, 2, 3].map(() => openStream(wire.session, { headers: { ':path': '/' }, endStream: false }));
  await new Promise((resolve) => streams[2]?.once('response', resolve));
  const closed = streams.map((stream) => new Promise((resolve) => stream.once('close', resolve)));
  far.destroy();
  await Promise.all([wire.closed, server.closed, ...closed]);
  expect(stuck.destroyed).toBe(true);
});

test('a byte stream that broke before it was taken over closes the session at once', async () => {
  const [near] = duplexPair();
  near.destroy();
  await once(near, 'close');
  await Promise.all([serve(new Transport(near), echo).closed, connectHttp2(new Transport(near)).closed]);
});

test('what arrived before the end is still read after it', async () => {
  const inner = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const transport = new Transport(inner);
  let bytes = 0;
  transport.read(0);
  inner.push(Buffer.alloc(100_000, 'x'));
  inner.push(null);
  await once(inner, 'end');
  transport.on('data', (chunk: Buffer) => (bytes += chunk.length));
  await once(transport, 'close');
  expect(bytes).toBe(100_000);
  expect(inner.destroyed).toBe(true);
});

/** Takes a piece when `take` is called. */
function slowInner() {
  const taken: Buffer[] = [];
  let take = (): void => undefined;
  const inner = new Duplex({
    read: () => undefined,
    write(piece: Buffer, _encoding, done) {
      take = () => {
        take = () => undefined;
        taken.push(piece);
        done();
      };
    },
  });
  return { inner, taken, take: () => take() };
}

test('many small frames that wait to be sent are few pieces', async () => {
  const { inner, taken, take } = slowInner();
  const transport = new Transport(inner);
  for (let frame = 0; frame < 100_000; frame++) transport.write(Buffer.from('.'.repeat(10)));
  expect(transport.writableLength).toBe(0); // the session waits for none of them
  transport.end();
  while (!inner.writableFinished) {
    take();
    await new Promise(setImmediate);
  }
  expect(Buffer.concat(taken).toString()).toBe('.'.repeat(1_000_000));
  expect(taken.length).toBeLessThan(70); // of 16 KiB
});

test('whatever waits comes in its order, and whole, also before the end', async () => {
  const lengths = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 20_000 }));
  const frames = fc.array(fc.record({ length: lengths, taken: fc.integer({ min: 0, max: 3 }) }), { maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(frames, async (given) => {
      const { inner, taken, take } = slowInner();
      const transport = new Transport(inner);
      let next = 0;
      const sent: Buffer[] = [];
      for (const { length, taken: times } of given) {
        const frame = Buffer.from(Array.from({ length }, () => next++ % 251));
        sent.push(frame);
        transport.write(frame);
        for (let time = 0; time < times; time++) {
          take();
          await new Promise(setImmediate);
        }
      }
      transport.end();
      while (!inner.writableFinished) {
        take();
        await new Promise(setImmediate);
      }
      expect(Buffer.concat(taken).equals(Buffer.concat(sent))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('bulk both ways at once does not stop, over a byte stream in memory', async () => {
  const [near, far] = duplexPair();
  const server = serve(new Transport(far), echo);
  await echoes(new Transport(near));
  await server.closed;
});

test('bulk both ways at once does not stop, with a plain socket at the other end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-wire-'));
  const path = join(directory, 'echo.sock');
  const listener = createServer((socket: Socket) => serve(socket, echo)).listen(path);
  await once(listener, 'listening');
  await echoes(new Transport(connect(path)));
  listener.close();
  await rm(directory, { recursive: true });
});

async function echoes(transport: Transport): Promise<void> {
  const wire = connectHttp2(transport);
  const sent = Buffer.alloc(24 * 1024 * 1024, 'caisson');
  const stream = openStream(wire.session, { headers: { ':method': 'POST', ':path': '/' }, endStream: false });
  stream.end(sent);
  expect((await buffer(stream)).equals(sent)).toBe(true);
  await wire.close();
}
