import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { ReaderStalled, readerRoom } from '../../../src/controlplane/api/sse/reader-room.ts';
import { until } from '../../until.ts';

afterEach(() => void vi.useRealTimers());

test('the reader of an answer that waits behind another is not judged before its turn', async () => {
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => void responses.push(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(3));
  const [first, second, third] = await until('three requests', () => responses.length === 3 && responses);
  if (first === undefined || second === undefined || third === undefined) throw new Error('there are three');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  second.end('second');
  third.write(Buffer.alloc(32 * 1_024 * 1_024));
  const rooms = [readerRoom(second, 1_000, 'finish'), readerRoom(third, 1_000)];
  expect(vi.getTimerCount()).toBe(0);
  first.end();
  await rooms[0];
  await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
  vi.advanceTimersByTime(1_000);
  await expect(rooms[1]).rejects.toThrow(ReaderStalled); // nobody reads
  socket.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
