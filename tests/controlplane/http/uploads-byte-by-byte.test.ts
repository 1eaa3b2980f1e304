import type { ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { OpenCalls } from '../../../src/controlplane/api/open-calls.ts';
import { serveFiles } from '../../../src/controlplane/http/file-routes.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { fakeGuest } from '../../wire/fake-guest.ts';
import { noAudit } from '../no-audit.ts';
import { aPrincipal } from '../principals.ts';

/** What a guest is sent on one stream before it has read any of it. */
const windowBytes = 4 * 1024 * 1024;

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

test('what comes byte by byte for a guest that takes nothing is gathered', async () => {
  let upload: ServerHttp2Stream | undefined;
  await using guest = fakeGuest((stream) => void (upload = stream.pause()));
  await using app = fastify({ forceCloseConnections: true });
  serveFiles(app, {
    ...noAudit,
    identify: async () => aPrincipal(),
    transfers: new OpenCalls({ what: 'uploads', limits: { perKey: 2, inAll: 2 } }),
    stallMs: 60_000,
    logger: silentLogger,
    admit: async () => aPrincipal(),
    workspaces: { open: async () => guest.client, openToWrite: async () => guest.client },
  });
  const passed: number[] = [];
  app.addHook('onRequest', async ({ raw }) => {
    raw.on('data', (piece: Buffer) => passed.push(piece.length)).pause();
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  client.write(
    `PUT /v1/agents/${newAgentId()}/file?path=new HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  await until('it has begun', () => upload !== undefined);
  client.write(`${windowBytes.toString(16)}\r\n${'x'.repeat(windowBytes)}\r\n`);
  await until('the window is full', () => sum(passed) === windowBytes);
  const large = passed.length;
  const sent = new Promise((resolve) => client.write(`${'1\r\n.\r\n'.repeat(10_000)}0\r\n\r\n`, resolve));
  await sent;
  await until('some of it waits', () => passed.length > large);
  let bytes = 0;
  upload?.on('data', (piece: Buffer) => (bytes += piece.length)).resume();
  await until('the guest has all', () => bytes === windowBytes + 10_000);
  expect(passed.length - large).toBeLessThan(140);
  client.destroy();
});
