import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningGuest, runGuest } from '../../guest/running-guest.ts';
import { until } from '../../until.ts';
import { usedMemory } from '../../used-memory.ts';
import { type Answer, answer, bearer, type RunningServer, startServer } from '../running-server.ts';

const mebibyte = 1_024 * 1_024;
/** Reads in one batch of 16.8 MB: more than the sockets of both ends take in. */
const reads = 12;

let server: RunningServer;
let guest: RunningGuest;
let agentId: string;
/** How many reads have brought all of their file. */
let readsDone: number;
let sockets: Socket[];

async function serve(overrides: Parameters<typeof startServer>[0]): Promise<void> {
  const client = await guest.client();
  readsDone = 0;
  const openFile = client.files.open.bind(client.files);
  client.files.open = async (...call) => {
    const opened = await openFile(...call);
    opened.content.once('close', () => readsDone++);
    return opened;
  };
  server = await startServer({
    guests: { ensureClient: async () => client, findClient: async () => client },
    ...overrides,
  });
  const made = await server.mutate(server.alice, 'agents.create', { name: 'worker', wait: true });
  ({ id: agentId } = made.data as { id: string });
}

beforeEach(async () => {
  sockets = [];
  guest = await runGuest();
  await writeFile(join(guest.roots[0], 'big'), Buffer.alloc(mebibyte, 'x'));
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server[Symbol.asyncDispose]();
  await guest[Symbol.asyncDispose]();
});

type Caller = RunningServer['alice'];

const bigFile = () => ({ agentId, path: 'big', encoding: 'base64' });
const read = (who: Caller): Promise<Answer> => server.query(who, 'files.read', bigFile());
const small = (who: Caller): Promise<Answer> => server.query(who, 'agents.list');
const isRefused = ({ error }: Answer): boolean => error?.code === 'TOO_MANY_CONNECTIONS';

function batchPath(calls: readonly (readonly [path: string, input: unknown])[]): string {
  const inputs = Object.fromEntries(calls.map(([, input], at) => [at, input]));
  return `/trpc/${calls.map(([path]) => path).join(',')}?batch=1&input=${encodeURIComponent(JSON.stringify(inputs))}`;
}

/** Sends the head of a request, and what there is of its body; what comes back is read only by whoever reads it. */
function send(who: Caller | null, line: string, more: readonly string[] = [], body = ''): Socket {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => undefined); // also emits 'close'
  sockets.push(socket);
  const key = Object.entries(bearer(who)).map(([name, value]) => `${name}: ${value}`);
  socket.write([`${line} HTTP/1.1`, 'host: localhost', ...key, ...more, '', body].join('\r\n'));
  return socket;
}

/** Resolves when the answer has begun to come. */
async function readNothing(who: Caller): Promise<Socket> {
  const socket = send(who, `GET ${batchPath(Array.from({ length: reads }, () => ['files.read', bigFile()]))}`);
  await once(socket, 'readable');
  return socket;
}

describe('an answer that nobody takes', () => {
  test('keeps the places of its calls until it is taken', async () => {
    await serve({ callLimits: { perKey: reads, inAll: 2 * reads } });
    const socket = await readNothing(server.alice);
    expect(await small(server.alice)).toMatchObject({ status: 429, error: { code: 'TOO_MANY_CONNECTIONS' } });
    expect((await small(server.admin)).status).toBe(200);
    let length = 0;
    socket.on('data', (chunk: Buffer) => (length += chunk.length));
    await until('free places', async () => (await small(server.alice)).status === 200);
    await until('all of it, as base64', () => length > reads * 1_398_104); // the last of it may be on its way
  });

  test('keeps them until its caller leaves', async () => {
    await serve({ callLimits: { perKey: reads, inAll: 2 * reads } });
    const socket = await readNothing(server.alice);
    expect((await small(server.alice)).status).toBe(429);
    socket.destroy();
    await until('free places', async () => (await small(server.alice)).status === 200);
  });

  test('is cut off when nothing of it is taken for long', async () => {
    await serve({ stallMs: 100 });
    const socket = await readNothing(server.alice);
    const message = 'a caller who did not take the answer was disconnected';
    const line = await until('its end', () => server.log.find((each) => each.message === message));
    expect(line.level).toBe('info');
    let length = 0;
    await new Promise((resolve) => {
      socket.on('data', (chunk: Buffer) => (length += chunk.length)).once('close', resolve);
    });
    expect(length).toBeLessThan(reads * mebibyte);
  });

  test('counts by its bytes, for its key and in all, until it is taken; what is small is answered all the same', async () => {
    await serve({ byteLimits: { perKey: 17 * mebibyte, inAll: 18 * mebibyte } });
    const socket = await readNothing(server.alice);
    expect(await read(server.alice)).toMatchObject({
      status: 429,
      error: { code: 'TOO_MANY_CONNECTIONS', retryable: true, details: { limit: 17 * mebibyte } },
    });
    expect((await small(server.alice)).status).toBe(200);
    const calls = Array.from({ length: 3 }, () => ['files.read', bigFile()] as const);
    const others = await fetch(`${server.url}${batchPath(calls)}`, { headers: bearer(server.admin) });
    expect(others.status).toBe(207);
    const text = await others.text();
    expect(text.split('"TOO_MANY_CONNECTIONS"').length - 1).toBe(2);
    expect(text).toContain(`"limit":${18 * mebibyte}`);
    socket.destroy();
    await until('room', async () => !isRefused(await read(server.alice)));
  });
});

test('results that wait for the last call of their batch count', async () => {
  await serve({ byteLimits: { perKey: 3 * mebibyte, inAll: 20 * mebibyte } });
  const opened = await server.mutate(server.alice, 'conversations.open', { agentId });
  const { id: conversationId } = opened.data as { id: string };
  const started = await server.mutate(server.alice, 'runs.start', { conversationId, message: 'hold' });
  const { runId } = started.data as { runId: string };
  const wait = ['runs.wait', { runId, timeoutMs: 600_000 }] as const;
  const socket = send(server.alice, `GET ${batchPath([['files.read', bigFile()], ['files.read', bigFile()], wait])}`);
  await until('both results', () => readsDone === 2);
  expect(isRefused(await read(server.alice))).toBe(true);
  socket.destroy();
  await until('room', async () => !isRefused(await read(server.alice)));
});

test.each([
  ['known at once', 60_000, 429],
  ['that has begun before it was known', 20, 200],
])(
  'an answer of a mutation %s, for which there is no room, says that the call was made',
  async (_what, pulseMs, status) => {
    await serve({ pulseMs, byteLimits: { perKey: 50_000, inAll: 50_000 } });
    const command = ['sh', '-c', `${pulseMs < 1_000 ? 'sleep 0.5; ' : ''}echo made > made; head -c 100000 /dev/zero`];
    expect(await server.mutate(server.alice, 'processes.exec', { agentId, command })).toMatchObject({
      status,
      error: { code: 'LIMIT_REACHED', retryable: false, message: expect.stringContaining('The call was made') },
    });
    expect((await server.query(server.alice, 'files.stat', { agentId, path: 'made' })).status).toBe(200);
  },
);

describe('a body', () => {
  const json = 'content-type: application/json';

  test.each([
    ['without a key', 'POST /trpc/files.write', 401, 'UNAUTHORIZED'],
    ['for a procedure that needs no key', 'POST /trpc/system.health', 401, 'UNAUTHORIZED'],
    ['for nothing', 'POST /nothing', 404, 'BAD_REQUEST'],
    ['for what is read', 'POST /healthz', 404, 'BAD_REQUEST'],
  ])('%s is not waited for', async (_what, line, status, code) => {
    await serve({});
    let received = '';
    send(null, line, [json, 'content-length: 1000000'], '{').on('data', (chunk) => (received += String(chunk)));
    await until('the answer', () => received.includes(`"${code}"`));
    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*connection: close`, 'i'));
  });

  test('that has not come in whole has a place', async () => {
    await serve({ callLimits: { perKey: 1, inAll: 2 } });
    const socket = send(server.alice, 'POST /trpc/files.write', [json, 'content-length: 100'], '{');
    await until('no place', async () => isRefused(await small(server.alice)));
    expect((await small(server.admin)).status).toBe(200);
    socket.destroy();
    await until('a place', async () => !isRefused(await small(server.alice)));
    expect(server.log.filter(({ level }) => level === 'error')).toEqual([]); // to leave is no defect of ours
  });

  test('that comes byte by byte takes the memory of its bytes', async () => {
    await serve({});
    let pieces = 0;
    IncomingMessage.prototype.push = function (...piece) {
      pieces++;
      return Readable.prototype.push.apply(this, piece);
    };
    try {
      const body = JSON.stringify({ agentId, path: 'new', content: 'x'.repeat(200_000) });
      const socket = send(server.alice, 'POST /trpc/files.write', [json, 'transfer-encoding: chunked'], '1\r\n{\r\n');
      let received = '';
      socket.on('data', (chunk) => (received += String(chunk)));
      await until('its beginning', () => pieces > 0);
      const before = usedMemory();
      socket.write(body.slice(1).replaceAll(/./g, '1\r\n$&\r\n'));
      await until('all of it', () => pieces === body.length);
      expect(usedMemory() - before).toBeLessThan(16 * mebibyte);
      socket.write('0\r\n\r\n');
      await until('the answer', () => received.includes('"created":true'));
    } finally {
      Reflect.deleteProperty(IncomingMessage.prototype, 'push');
    }
  });

  test('counts with the bytes that were announced, for its key and in all', async () => {
    await serve({ byteLimits: { perKey: 100_000, inAll: 150_000 } });
    const write = (who: Caller, bytes: number): Promise<Answer> =>
      server.mutate(who, 'files.write', { agentId, path: 'new', content: 'x'.repeat(bytes) });
    expect((await write(server.alice, 60_000)).status).toBe(200);
    const announced = [json, 'content-length: 90000', 'expect: 100-continue'];
    const socket = send(server.alice, 'POST /trpc/files.write', announced, '{');
    await once(socket, 'readable'); // it may go on
    expect((await write(server.alice, 60_000)).error?.details).toEqual({ limit: 100_000 });
    expect((await write(server.alice, 1_000)).status).toBe(200);
    expect((await write(server.admin, 50_000)).status).toBe(200);
    expect((await write(server.admin, 70_000)).error?.details).toEqual({ limit: 150_000 });
    socket.destroy();
    await until('room', async () => !isRefused(await write(server.alice, 60_000)));
  });

  test('of a length that is not announced counts as the longest, until it is there', async () => {
    await serve({
      settings: { maxBodyBytes: 100_000 },
      byteLimits: { perKey: 100_000, inAll: 100_000 },
      callLimits: { perKey: 3, inAll: 3 },
    });
    const socket = send(server.alice, 'POST /trpc/processes.exec', [json, 'transfer-encoding: chunked']);
    const write = (): Promise<Answer> =>
      server.mutate(server.alice, 'files.write', { agentId, path: 'new', content: 'x'.repeat(20_000) });
    await until('no room', async () => isRefused(await write()));
    const body = JSON.stringify({ agentId, command: ['sleep', '600'] });
    socket.write(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    await until('room', async () => !isRefused(await write()));
  });
});

test('a call keeps nothing, however it ended', async () => {
  await serve({ callLimits: { perKey: 1, inAll: 1 }, byteLimits: { perKey: 100_000, inAll: 100_000 } });
  const large = JSON.stringify({ agentId, path: 'new', content: 'x'.repeat(60_000) });
  const post = (path: string, body: string, type = 'application/json'): Promise<Answer> =>
    answer(
      fetch(`${server.url}/trpc/${path}`, {
        method: 'POST',
        headers: { ...bearer(server.alice), 'content-type': type },
        body,
      }),
    );
  for (let round = 0; round < 3; round++) {
    expect((await post('files.write', large)).status).toBe(200);
    expect((await post('files.write', large.slice(1))).status).toBe(400);
    expect((await post('files.write', large, 'text/plain')).status).toBe(415);
    expect((await post('files.nothing', large)).status).toBe(404);
    expect((await post('events.subscribe', large)).status).toBe(405);
    expect((await server.query(server.alice, 'files.stat', { agentId, path: 'new' })).status).toBe(200);
  }
});
