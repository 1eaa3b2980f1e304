import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { readBody } from '../../src/guest/inward-call.ts';

test.each(['request', 'session'] as const)('a body whose %s is broken off is waited for no longer', async (what) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { promise: read, resolve, reject } = Promise.withResolvers<Buffer>();
  server.once('stream', (stream) => {
    stream.on('error', () => undefined);
    readBody(stream, 100).then(resolve, reject);
    stream.once('data', () => (what === 'request' ? request.destroy(new Error('gone')) : session.destroy()));
  });
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const request = session.request({ ':method': 'PUT', ':path': '/' });
  request.on('error', () => undefined);
  request.write('ab');
  await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
  session.destroy();
  server.close();
});
