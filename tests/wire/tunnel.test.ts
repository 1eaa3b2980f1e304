import { constants, type ServerHttp2Stream } from 'node:http2';
import { setImmediate } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { endTrailer, mostPortConnections, portPaths } from '../../src/wire/contract/ports.ts';
import { until } from '../until.ts';
import { fakeGuest } from './fake-guest.ts';

/** A guest whose answer, with all that follows it, comes in one piece. */
function atOnce(answer: (stream: ServerHttp2Stream) => void) {
  const guest = fakeGuest((stream) => {
    const held: Buffer[] = [];
    const { duplex } = guest;
    const write = duplex.write.bind(duplex);
    duplex.write = (chunk: Buffer) => held.push(chunk) > 0;
    answer(stream);
    void (async () => {
      for (let n = 0; n < 50; n++) await setImmediate();
      duplex.write = write;
      write(Buffer.concat(held));
    })();
  });
  return guest;
}

test('what a server says and its end are not missed when they come with the answer', async () => {
  await using guest = atOnce((stream) => {
    stream.once('wantTrailers', () => stream.sendTrailers({ [endTrailer]: '1' }));
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.end('hello');
    stream.resume();
  });
  const connection = await guest.client.ports.connect(7);
  connection.end();
  expect(await text(connection)).toBe('hello');
});

test('a reset that comes with the answer is not missed', async () => {
  await using guest = atOnce((stream) => {
    stream.respond({ ':status': 200 });
    stream.close(constants.NGHTTP2_CONNECT_ERROR);
  });
  const connection = await guest.client.ports.connect(7);
  await expect(text(connection)).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(connection.destroyed).toBe(true);
});

test('a guest that takes any number of connections has 128, and gets no more memory for them than their windows', async () => {
  let sent = 0;
  await using guest = fakeGuest((stream, { ':path': path }) => {
    if (path === portPaths.list) {
      stream.respond({ ':status': 200 });
      stream.end(JSON.stringify({ ports: [] }));
      return;
    }
    stream.respond({ ':status': 200 });
    const block = Buffer.alloc(64 * 1024);
    const send = (): void => {
      stream.write(block, (error) => {
        if (error) return;
        sent += block.length;
        send();
      });
    };
    send();
  });
  const { ports } = guest.client;
  const open = await Promise.all(Array.from({ length: mostPortConnections }, () => ports.connect(7)));
  await expect(ports.connect(7)).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  // Nobody reads. What would still come comes before the answers to what is asked after it.
  const most = mostPortConnections * 1024 * 1024;
  await until('what may come has come', () => sent >= most);
  for (let n = 0; n < 20; n++) await ports.list();
  expect(sent).toBe(most);
  open[0]?.destroy();
  (await until('a place', () => ports.connect(7).catch(() => undefined))).destroy();
  for (const connection of open) connection.destroy();
});
