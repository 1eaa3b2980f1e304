import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { rm, truncate, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fastify, type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OpenCalls } from '../../../src/controlplane/api/open-calls.ts';
import { serveFiles } from '../../../src/controlplane/http/file-routes.ts';
import { refusalOf, sendRefusal } from '../../../src/controlplane/http/refusals.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { newAgentId, newKeyId } from '../../../src/kernel/ids.ts';
import { asNobody } from '../../guest/as-nobody.ts';
import { type RunningGuest, runGuest } from '../../guest/running-guest.ts';
import { until } from '../../until.ts';
import { noAudit } from '../no-audit.ts';
import { aPrincipal } from '../principals.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';

const keyId = newKeyId();
const size = 64 * 1024 * 1024;
const agentId = newAgentId();
const path = `/v1/agents/${agentId}/file?path=`;

let guest: RunningGuest;
let transfers: OpenCalls;
let app: FastifyInstance;
let sockets: Socket[];
let log: LoggedLine[];

async function serve(stallMs: number): Promise<void> {
  log = [];
  guest = await runGuest();
  const client = await guest.client();
  transfers = new OpenCalls({ what: 'uploads and downloads', limits: { perKey: 2, inAll: 2 } });
  app = fastify({ forceCloseConnections: true });
  app.setErrorHandler((thrown, _request, reply) => sendRefusal(reply, refusalOf(thrown)));
  serveFiles(app, {
    ...noAudit,
    identify: async () => aPrincipal(),
    transfers,
    stallMs,
    logger: recordingLogger(log),
    async admit({ headers: { authorization } }) {
      if (authorization === 'Bearer good') return { ...aPrincipal(), keyId };
      throw new CaissonError('UNAUTHORIZED', 'The request has no API key.');
    },
    workspaces: { open: async () => client, openToWrite: async () => client },
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const big = join(guest.roots[0], 'big');
  await writeFile(big, '');
  await truncate(big, size);
  sockets = [];
}

beforeEach(() => serve(60_000));
afterEach(async () => {
  vi.useRealTimers();
  for (const socket of sockets) socket.destroy();
  await app.close();
  await guest[Symbol.asyncDispose]();
});

/** Sends a head, and what there is of a body; what comes back is read only by whoever reads it. */
function send(line: string, ...more: string[]): Socket {
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined); // also emits 'close'
  sockets.push(socket);
  socket.write(`${line} HTTP/1.1\r\nhost: x\r\n${more.join('\r\n')}`);
  return socket;
}
const key = 'authorization: Bearer good';
const download = (name = 'big') => send(`GET ${path}${name}`, key, '', '');
const upload = (...headers: string[]) =>
  send(`PUT ${path}new`, ...headers, 'transfer-encoding: chunked', '', '5', 'hello', '');
const begun = (socket: Socket) => once(socket, 'readable');
const free = () => until('all places are free', () => transfers.count === 0);
const cutLines = () => log.filter(({ message }) => message === 'a transfer was cut');
const names = () => readdirSync(guest.roots[0]).filter((name) => name !== 'big');

test('a reader who takes nothing is cut off, and its place is free again', async () => {
  await app.close();
  await guest[Symbol.asyncDispose]();
  await serve(100);
  const socket = download();
  await begun(socket);
  expect(transfers.count).toBe(1);
  await free();
  let received = 0;
  for await (const chunk of socket) received += (chunk as Buffer).length;
  expect(received).toBeLessThan(size);
  const [line] = cutLines();
  expect(line).toMatchObject({ level: 'warn', fields: { method: 'GET', agentId, path: 'big', keyId } });
  expect(line?.fields['bytes']).toBeGreaterThanOrEqual(received);
  expect(line?.fields['err']).toMatchObject({ name: 'ReaderStalled' });
});

test('a reader for whom the kernel tells of no room for a while may be a slow one: it is given 5 minutes', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const socket = download();
  await begun(socket);
  await until('its reader is waited for', () => vi.getTimerCount() > 0);
  const timers = vi.getTimerCount();
  vi.advanceTimersByTime(299_999);
  expect(vi.getTimerCount()).toBe(timers);
  vi.advanceTimersByTime(1);
  await free();
});

test('an upload that brings nothing more is given up, and leaves nothing', async () => {
  await app.close();
  await guest[Symbol.asyncDispose]();
  await serve(100);
  const answer = await text(upload(key));
  expect(answer).toMatch(/^HTTP\/1.1 408 [^]*connection: close[^]*"DEADLINE_EXCEEDED"/i);
  await free();
  await until('its traces are gone', () => names().length === 0);
  expect(cutLines()).toMatchObject([
    {
      level: 'warn',
      fields: { method: 'PUT', agentId, path: 'new', keyId, bytes: 5, err: { code: 'DEADLINE_EXCEEDED' } },
    },
  ]);
});

test('more of one key than may be are refused, until one ends', async () => {
  const first = download();
  await Promise.all([begun(first), begun(download())]);
  expect(await text(send(`GET ${path}big`, key, 'connection: close', '', ''))).toMatch(
    /^HTTP\/1.1 429 [^]*"TOO_MANY_CONNECTIONS"/,
  );
  first.destroy();
  await until('its place is free', () => transfers.count === 1);
  const ranged = send(`GET ${path}big`, key, 'range: bytes=0-0', 'connection: close', '', '');
  expect(await text(ranged)).toMatch(/^HTTP\/1.1 206 /);
});

describe('an archive of what may not be read', () => {
  let asRoot: () => void;
  let locked: string;
  beforeEach(async () => {
    await app.close();
    await guest[Symbol.asyncDispose]();
    asRoot = asNobody();
    await serve(60_000);
    locked = join(guest.roots[0], 'locked');
    await writeFile(locked, 'x', { mode: 0 });
  });
  afterEach(() => asRoot());
  const archive = (format: string) =>
    text(send(`GET /v1/agents/${agentId}/archive?path=&format=${format}`, key, 'connection: close', '', ''));

  test.each(['tar', 'zip'])('is refused as %s where nothing was sent yet, and not broken off', async (format) => {
    await rm(join(guest.roots[0], 'big'));
    expect(await archive(format)).toMatch(/^HTTP\/1.1 403 [^]*"FILE_ACCESS_DENIED"/);
    await free();
  });

  test('is cut where some of it was sent, and the log says why', async () => {
    const cut = await archive('tar');
    expect(cut).toMatch(/^HTTP\/1.1 200 /);
    expect(cut.endsWith('\r\n0\r\n\r\n')).toBe(false);
    await free();
    expect(cutLines()).toMatchObject([
      { level: 'warn', fields: { err: { code: 'FILE_ACCESS_DENIED', details: { path: locked } } } },
    ]);
  });
});

test('a key that is revoked ends its downloads', async () => {
  const socket = download();
  await begun(socket);
  transfers.endKey(keyId);
  let received = 0;
  for await (const chunk of socket) received += (chunk as Buffer).length;
  expect(received).toBeLessThan(size);
  await free();
});

test('a key that is revoked ends its uploads, and nothing is written', async () => {
  const socket = upload(key);
  await until('the upload begins', () => names().length === 1);
  transfers.endKey(keyId);
  expect(await text(socket)).toMatch(/^HTTP\/1.1 401 [^]*connection: close[^]*"UNAUTHORIZED"/i);
  await until('its traces are gone', () => names().length === 0);
  await free();
});

test('a caller who leaves in mid-upload leaves nothing', async () => {
  const socket = upload(key);
  await until('the upload begins', () => names().length === 1);
  socket.destroy();
  await until('its traces are gone', () => names().length === 0);
  await free();
  expect(cutLines()).toMatchObject([{ level: 'debug' }]); // no news
});

/** The request of an upload without a key, and its answer, which the caller does not wait for. */
async function refusedUpload(): Promise<{ readonly socket: Socket; readonly request: IncomingMessage }> {
  const asked = once(app.server, 'request') as Promise<[IncomingMessage]>;
  const socket = upload();
  const [request] = await asked;
  await begun(socket);
  return { socket, request };
}

test('a refusal waits for its reader, who is still sending: a connection closed over unread bytes is reset', async () => {
  const { socket } = await refusedUpload();
  const piece = Buffer.alloc(1024 * 1024);
  await new Promise<void>((resolve, reject) => {
    socket.write(`${piece.length.toString(16)}\r\n`);
    socket.write(piece);
    socket.write('\r\n0\r\n\r\n', (failure) => (failure == null ? resolve() : reject(failure)));
  });
  expect(await text(socket)).toMatch(/^HTTP\/1.1 401 [^]*connection: close[^]*"UNAUTHORIZED"/i);
});

test('a refusal closes the connection of a body that is still coming after 2 s: nothing would bound it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { socket } = await refusedUpload();
  vi.advanceTimersByTime(2_000);
  expect(await text(socket)).toMatch(/^HTTP\/1.1 401 [^]*connection: close/i);
  expect(socket.readableEnded).toBe(true);
});

test('of a body that was refused no more than 8 MiB are read', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { socket, request } = await refusedUpload();
  const closed = once(request.socket, 'close');
  const endless = Buffer.alloc(size);
  socket.write(`${size.toString(16)}\r\n`);
  socket.write(endless);
  await until('no more is read', () => request.isPaused());
  vi.advanceTimersByTime(2_000);
  await closed;
  expect(request.socket.bytesRead).toBeLessThan(9 * 1024 * 1024);
});
