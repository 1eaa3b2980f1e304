import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { connectHttp2 } from '../../src/wire/connect-http2.ts';
import { egressClientOptions } from '../../src/wire/http2-settings.ts';
import { leaveStream, openStream } from '../../src/wire/requests.ts';
import { serveOutward } from '../../src/wire/serve-outward.ts';

test.for(['outward', 'egress'] as const)(
  'a session of the channel %s outlives thousands of streams that are dropped in bursts',
  async (channel) => {
    const [near, far] = duplexPair();
    const server = serveOutward(
      far,
      (stream) => {
        stream.respond();
        stream.end('here');
      },
      { channel, onHandlerError: () => undefined },
    );
    const client = connectHttp2(near, undefined, egressClientOptions);
    await once(client.session, 'remoteSettings');
    for (let burst = 0; burst < 10; burst++) {
      const streams = Array.from({ length: 600 }, () =>
        openStream(client.session, { headers: { ':method': 'POST', ':path': '/' }, endStream: false }),
      );
      const closed = streams.map((stream) => once(stream, 'close'));
      for (const stream of streams) stream.write('half of it');
      await new Promise((resolve) => setImmediate(resolve));
      for (const stream of streams) leaveStream(stream);
      await Promise.all(closed);
    }
    await new Promise((resolve) => client.session.ping(resolve));
    const stream = openStream(client.session, { headers: { ':path': '/' }, endStream: true });
    expect(await text(stream)).toBe('here');
    expect([client.session.destroyed, server.session.destroyed]).toEqual([false, false]);
    await client.close();
    await server.close();
  },
);

test.for(['outward', 'egress'] as const)(
  'a guest that drops streams faster than ours ever does loses its session of the channel %s',
  async (channel) => {
    const [near, far] = duplexPair();
    let answered = 0;
    const server = serveOutward(far, () => void answered++, { channel, onHandlerError: () => undefined });
    const client = connectHttp2(near, undefined, egressClientOptions);
    await once(client.session, 'remoteSettings');
    for (let burst = 0; burst < 500 && !server.session.destroyed; burst++) {
      const streams = Array.from({ length: 100 }, () =>
        openStream(client.session, { headers: { ':method': 'POST', ':path': '/' }, use: 'own', endStream: false }),
      );
      // Those of a session that ends with an error end with it too.
      const closed = streams.map((stream) => new Promise((resolve) => stream.once('close', resolve)));
      await new Promise((resolve) => setImmediate(resolve));
      for (const stream of streams) leaveStream(stream);
      await Promise.all(closed);
    }
    expect(answered).toBeGreaterThan(9_000);
    expect(answered).toBeLessThan(50_000);
    await client.close();
    await server.close();
  },
);
