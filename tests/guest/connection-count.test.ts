import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { countConnections } from '../../src/guest/ports/connection-count.ts';
import { until } from '../until.ts';

test('a connection counts from its beginning to its end, whichever side ends it', async () => {
  const server = createServer();
  const count = countConnections(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(count()).toBe(0);

  const [one, other] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  await until('both connections', () => count() === 2);
  one.end();
  await until('the end of the first', () => count() === 1);
  server.closeAllConnections();
  await until('the end of the second', () => count() === 0);
  other.destroy();
  server.close();
});
