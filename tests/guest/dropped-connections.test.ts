import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import type { WireChannel } from '../../src/sandbox-providers/contract/index.ts';
import { serveOutward } from '../../src/wire/serve-outward.ts';
import { until } from '../until.ts';
import { runGuest } from './running-guest.ts';

const floods = {
  egress: 'CONNECT some.host:443 HTTP/1.1\r\nHost: some.host\r\n\r\n',
  outward: 'POST /v1/responses HTTP/1.1\r\nHost: model\r\nContent-Length: 40\r\n\r\nhalf of it',
} as const satisfies Partial<Record<WireChannel, string>>;

test.for(['egress', 'outward'] as const)(
  'programs that open and drop connections in bursts slow themselves, and do not end the channel %s',
  async (channel) => {
    await using running = await runGuest();
    let streams = 0;
    const wire = serveOutward(
      await running.socket(channel),
      (stream) => {
        streams++;
        stream.respond();
      },
      { channel: channel === 'egress' ? 'egress' : 'outward', onHandlerError: () => undefined },
    );
    await new Promise((resolve) => wire.session.ping(resolve)); // the guest holds its end
    const port = channel === 'egress' ? running.guest.proxyPorts.http : running.guest.modelPort;
    const ask = async () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(floods[channel]);
      return socket;
    };
    for (let burst = 0; burst < 40; burst++) {
      const sockets = await Promise.all(Array.from({ length: 100 }, ask));
      await new Promise((resolve) => setImmediate(resolve));
      for (const socket of sockets) socket.resetAndDestroy();
    }
    expect(streams).toBeGreaterThan(0);
    expect(streams).toBeLessThan(2_000); // of 4,000
    await until('another goes through', async () => {
      const socket = await ask();
      const [said] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return said.toString().startsWith('HTTP/1.1 200');
    });
    expect(wire.session.destroyed).toBe(false);
    await wire.close();
  },
);
