import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { PortAgent } from '../../../src/controlplane/previews/port-agent.ts';
import { createPreviewProxy } from '../../../src/controlplane/previews/preview-proxy.ts';
import { until } from '../../until.ts';

test('what a visitor sends byte by byte to an app that takes nothing is gathered', async () => {
  const taken: string[] = [];
  let take = (): void => undefined;
  /** The connection to the app, which takes a piece when `take` is called. */
  class Stalled extends Duplex {
    override _read(): void {}
    override _write(piece: Buffer, _encoding: BufferEncoding, done: () => void): void {
      take = () => {
        take = () => undefined;
        taken.push(piece.toString('latin1'));
        done();
      };
    }
  }
  const connections = new PortAgent(async () => new Stalled());
  const proxy = createPreviewProxy({ onError: (error) => expect.fail(error.message) });
  let visit: IncomingMessage | undefined;
  const server = createServer((request, response) => {
    visit = request;
    proxy.web(request, response, { connections });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const visitor = connect((server.address() as AddressInfo).port, '127.0.0.1');
  visitor.write('POST / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n');
  visitor.write('1\r\n.\r\n'.repeat(20_000) + '0\r\n\r\n');
  await until('all of it has come', () => (visit?.readableLength ?? 0) > 19_000);
  let body = '';
  await until('the app has all of it', async () => {
    for (let round = 0; round < 1_000; round++) {
      take();
      await new Promise(setImmediate);
    }
    body = taken.join('').split('\r\n\r\n').slice(1).join('\r\n\r\n');
    return body.endsWith('\r\n0\r\n\r\n');
  });
  const chunks = [...body.matchAll(/([0-9a-f]+)\r\n(\.+)\r\n/g)];
  expect(chunks.map(([, , dots]) => dots).join('')).toHaveLength(20_000);
  expect(chunks.length).toBeLessThan(140);
  visitor.destroy();
  server.close();
});
