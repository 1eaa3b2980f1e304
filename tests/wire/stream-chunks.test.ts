import { once } from 'node:events';
import { type ClientHttp2Session, connect, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { openStream } from '../../src/wire/requests.ts';
import { streamChunks } from '../../src/wire/stream-chunks.ts';

/** What is read of a stream that begins with `hello` and goes on as the test says when that is here. */
async function read(goOn: (stream: ServerHttp2Stream, session: ClientHttp2Session) => void): Promise<unknown[]> {
  const server = createServer();
  const opened = Promise.withResolvers<ServerHttp2Stream>();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond();
    stream.write('hello');
    opened.resolve(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on('error', () => undefined);
  const stream = openStream(session, { headers: { ':path': '/' }, endStream: true });
  const seen: unknown[] = [];
  try {
    for await (const chunk of streamChunks(stream)) {
      seen.push(chunk.toString());
      if (seen.length === 1) goOn(await opened.promise, session);
    }
    seen.push('the end');
  } catch (thrown) {
    seen.push(thrown instanceof Error && 'code' in thrown ? thrown.code : thrown);
  }
  session.destroy();
  server.close();
  return seen;
}

test('a stream that ends is read to its end', async () => {
  expect(await read((stream) => stream.end(' world'))).toEqual(['hello', ' world', 'the end']);
});

test.each([
  ['is reset', (stream: ServerHttp2Stream) => stream.destroy(new Error('no'))],
  ['loses its wire', (stream: ServerHttp2Stream) => stream.session?.destroy()],
  ['loses its session here', (_stream: ServerHttp2Stream, session: ClientHttp2Session) => session.destroy()],
])('a stream that %s has no end, also where Node ends it as if it were complete', async (_how, goOn) => {
  expect(await read(goOn)).toEqual(['hello', 'WIRE_LOST']);
});
