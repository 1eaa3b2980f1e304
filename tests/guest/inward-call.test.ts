import { once } from 'node:events';
import { connect, type Http2Server, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ItemStream } from '../../src/guest/files/item-stream.ts';
import { answerError, answerJson, goneWith } from '../../src/guest/inward-call.ts';
import { CaissonError } from '../../src/kernel/errors.ts';

let server: Http2Server;
beforeEach(async () => {
  server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => void server.close());

/** What the guest does with a stream that is reset, but not destroyed yet. */
async function withResetStream(work: (stream: ServerHttp2Stream) => void): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    server.once('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.close();
      try {
        expect([stream.closed, stream.destroyed]).toEqual([true, false]);
        work(stream);
        resolve();
      } catch (thrown) {
        reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    });
  });
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.request({ ':path': '/' }).on('error', () => undefined);
  try {
    await done;
  } finally {
    session.destroy();
  }
}

test('an answer to a caller who has just gone is dropped: it does not end the guest', async () => {
  await withResetStream((stream) => answerJson(stream, {}));
  await withResetStream((stream) => answerError(stream, new CaissonError('LIMIT_REACHED', 'too many')));
  await withResetStream((stream) => void new ItemStream(stream));
});

test('a caller who has gone already is gone', async () => {
  await withResetStream((stream) => {
    stream.destroy();
    expect(goneWith(stream).aborted).toBe(true);
  });
});
