import { once } from 'node:events';
import { type ClientHttp2Stream, connect, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { RequestBody } from '../../../src/guest/files/request-body.ts';

/** What a server reads of a small upload of `length` bytes. */
async function upload(
  length: number,
  send: (request: ClientHttp2Stream) => void,
  meanwhile: (stream: ServerHttp2Stream) => void = () => undefined,
): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const read = new Promise<Buffer>((resolve, reject) => {
      server.once('stream', (stream, headers) => {
        stream.on('error', () => undefined);
        const body = new RequestBody({ stream, headers, params: {}, query: new URLSearchParams() });
        body.whole(100).then(resolve, reject);
        meanwhile(stream);
      });
    });
    const request = session.request({ ':method': 'PUT', ':path': '/', 'content-length': length });
    request.on('error', () => undefined);
    send(request);
    return (await read).toString();
  } finally {
    session.destroy();
    server.close();
  }
}

test('a body that comes with its head is read', async () => {
  expect(await upload(4, (request) => request.end('abcd'))).toBe('abcd');
});

test('a body that comes later, and in pieces, is read', async () => {
  const send = (request: ClientHttp2Stream): void => {
    request.write('ab', () => setTimeout(() => request.end('cd'), 20));
  };
  expect(await upload(4, send)).toBe('abcd');
});

test('a body of nothing is read, also one whose end comes apart from its head', async () => {
  expect(await upload(0, (request) => request.end())).toBe('');
  expect(await upload(0, (request) => setTimeout(() => request.end(), 20))).toBe('');
});

test('a body whose caller has gone in the turn in which its head came is not taken for whole', async () => {
  const read = upload(
    4,
    (request) => request.end('abcd'),
    (stream) => stream.destroy(),
  );
  await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
});
