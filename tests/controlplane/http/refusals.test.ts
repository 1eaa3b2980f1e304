import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { writeRawRefusal } from '../../../src/controlplane/http/refusals.ts';
import { PreviewHosts } from '../../../src/controlplane/previews/preview-hosts.ts';

/** Cookies that fill several packets come behind the Host, which is lost with its packet. */
test.each([
  ['names a preview', 'text/plain', 'GET / HTTP/1.1\r\nHost: 3000-x.preview.example.com\r\nCookie: a'],
  ['names no host', 'text/plain', 'aaaa; c1=aaaa'],
  ['names the API', 'application/json', 'aaaa HTTP/1.1\r\nHost: 127.0.0.1:7070\r\nX: a'],
])('headers that are too large, in a packet that %s, are answered in %s', async (_, type, packet) => {
  const hosts = new PreviewHosts({ domain: 'preview.example.com', publicUrl: null });
  const error = Object.assign(new Error('x'), { code: 'HPE_HEADER_OVERFLOW', rawPacket: Buffer.from(packet) });
  const server = createServer((socket) => writeRawRefusal(socket, error, hosts)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answer = await text(connect((server.address() as AddressInfo).port, '127.0.0.1'));
  server.close();
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  expect(answer).toContain(`content-type: ${type};`);
  expect(answer.includes('delete the cookies of preview.example.com')).toBe(type === 'text/plain');
});
