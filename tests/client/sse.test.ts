import { expect, test } from 'vitest';
import { createEndpoint } from '../../src/client/endpoint.ts';
import { sse } from '../../src/client/sse.ts';
import { aborted, agentId, event, EventServer, fail, type Connection } from './event-server.ts';

const open = (url: string, signal?: AbortSignal): AsyncGenerator<{ readonly seq: number }> =>
  sse(createEndpoint({ url, apiKey: 'test-key' }), { path: 'events.subscribe', input: { agentId, after: 0 }, signal });

async function take(items: AsyncIterable<{ readonly seq: number }>, seen: number[]): Promise<void> {
  for await (const { seq } of items) seen.push(seq);
}

test('gives the items of a subscription and ends where the server says that it is over', async () => {
  const connection: Connection = async function* () {
    for (let seq = 1; seq <= 3; seq++) yield event(seq);
  };
  await using server = await new EventServer([connection]).listen();
  const seen: number[] = [];
  await take(open(server.url), seen);
  expect(seen).toEqual([1, 2, 3]);
  expect(server.requests).toHaveLength(1);
});

test("throws the control plane's own error after the items that came before it", async () => {
  const connection: Connection = async function* () {
    yield event(1);
    fail('CURSOR_EXPIRED', 'Too old.');
  };
  await using server = await new EventServer([connection]).listen();
  const seen: number[] = [];
  await expect(take(open(server.url), seen)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  expect(seen).toEqual([1]);
});

test('ends without an error when it is aborted, and leaves the server', async () => {
  const left = Promise.withResolvers<void>();
  const connection: Connection = async function* ({ signal }) {
    yield event(1);
    await aborted(signal);
    left.resolve();
  };
  await using server = await new EventServer([connection]).listen();
  const leave = new AbortController();
  for await (const { seq } of open(server.url, leave.signal)) {
    expect(seq).toBe(1);
    leave.abort();
  }
  await left.promise;
});

test('says that nobody answers where the control plane is away', async () => {
  await expect(take(open('http://127.0.0.1:1'), [])).rejects.toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE' });
});
