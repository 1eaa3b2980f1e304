import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AgentEvent } from '../../src/client/api.ts';
import { createEndpoint } from '../../src/client/endpoint.ts';
import { subscribe, type SubscribeOptions } from '../../src/client/subscription.ts';
import { CaissonError } from '../../src/kernel/errors.ts';
import { aborted, agentId, event, EventServer, fail, type Connection } from './event-server.ts';

function open(url: string, options: Partial<SubscribeOptions> = {}): AsyncGenerator<AgentEvent> {
  return subscribe(createEndpoint({ url, apiKey: 'test-key' }), { agentId, ...options });
}

async function take(events: AsyncGenerator<AgentEvent>, count: number): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of events) {
    seqs.push(seq);
    if (seqs.length === count) break;
  }
  return seqs;
}

async function failureOf(
  events: AsyncGenerator<AgentEvent>,
): Promise<{ readonly seqs: number[]; readonly error: CaissonError }> {
  const seqs: number[] = [];
  try {
    for await (const { seq } of events) seqs.push(seq);
  } catch (thrown) {
    if (thrown instanceof CaissonError) return { seqs, error: thrown };
    throw thrown;
  }
  throw new Error('the subscription ended without an error');
}

const upTo = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Sends everything from the cursor to `last`, then stays open. */
const serve = (last: number): Connection =>
  async function* ({ after, signal }) {
    for (let seq = after + 1; seq <= last; seq++) yield event(seq);
    await aborted(signal);
  };

describe('subscribe', () => {
  test('gives stored events in order, whole, with the key in the header', async () => {
    await using server = await new EventServer([serve(300)]).listen();
    const events: AgentEvent[] = [];
    for await (const item of open(server.url, { after: 10 })) {
      events.push(item);
      if (item.seq === 300) break;
    }
    expect(events.map(({ seq }) => seq)).toEqual(upTo(11, 300));
    expect(events[0]).toEqual(event(11));
    expect(server.requests).toEqual([{ after: 10, authorization: 'Bearer test-key' }]);
  });

  test('keeps events whole whose text is cut anywhere by the network', async () => {
    const text = 'é漢😀\n\r\u2028data: "id: 5"\n\nevent: return';
    await using server = await new EventServer([
      async function* ({ signal }) {
        for (let seq = 1; seq <= 500; seq++) yield event(seq, text.repeat(seq % 37));
        await aborted(signal);
      },
    ]).listen();
    for await (const item of open(server.url)) {
      expect(item).toEqual(event(item.seq, text.repeat(item.seq % 37)));
      if (item.seq === 500) break;
    }
  });

  test('resumes after the last event it gave when the connection is cut, any number of times', async () => {
    await using server = new EventServer([serve(1_000)]);
    await server.listen();
    const seqs: number[] = [];
    const reasons: string[] = [];
    for await (const { seq } of open(server.url, { onReconnect: ({ code }) => reasons.push(code) })) {
      seqs.push(seq);
      if (seq === 3 || seq === 400 || seq === 401) server.cut();
      if (seq === 1_000) break;
    }
    expect(seqs).toEqual(upTo(1, 1_000));
    expect(new Set(reasons)).toEqual(new Set(['CONTROL_PLANE_UNREACHABLE']));
  });

  test('goes on when the server ends the stream, and when it says that it is draining', async () => {
    await using server = await new EventServer([
      async function* () {
        yield event(1);
      },
      async function* () {
        yield event(2);
        fail('DRAINING', 'The control plane is shutting down.');
      },
      serve(3),
    ]).listen();
    expect(await take(open(server.url), 3)).toEqual([1, 2, 3]);
    expect(server.requests.map(({ after }) => after)).toEqual([0, 1, 2]);
  });

  test('waits for a control plane that restarts', async () => {
    const server = await new EventServer([serve(2)]).listen();
    const events = open(server.url);
    expect((await events.next()).value?.seq).toBe(1);
    expect((await events.next()).value?.seq).toBe(2);
    await server.close();
    const next = events.next();
    await using again = new EventServer([serve(3)], {});
    await again.listen(Number(new URL(server.url).port));
    expect((await next).value?.seq).toBe(3);
    await events.return(undefined);
  });

  test('drops what is sent twice', async () => {
    await using server = await new EventServer([
      async function* ({ signal }) {
        for (const seq of [1, 2, 2, 1, 3, 3, 4]) yield event(seq);
        await aborted(signal);
      },
    ]).listen();
    expect(await take(open(server.url), 4)).toEqual([1, 2, 3, 4]);
  });

  test('stops at a gap with an error instead of passing over it', async () => {
    await using server = await new EventServer([
      async function* () {
        for (const seq of [1, 2, 5]) yield event(seq);
      },
    ]).listen();
    const { seqs, error } = await failureOf(open(server.url));
    expect(seqs).toEqual([1, 2]);
    expect(error).toMatchObject({ code: 'INTERNAL', details: { expected: 3, received: 5 } });
  });

  test.for(['CURSOR_EXPIRED', 'UNAUTHORIZED', 'AGENT_NOT_FOUND'] as const)(
    'ends with %s as the control plane said it',
    async (code) => {
      await using server = await new EventServer([
        async function* () {
          yield event(1);
          fail(code, 'It says so.');
        },
      ]).listen();
      const { seqs, error } = await failureOf(open(server.url));
      expect(seqs).toEqual([1]);
      expect(error).toMatchObject({ code, message: 'It says so.', details: { seq: 7 } });
      expect(server.requests).toHaveLength(1);
    },
  );

  test('does not wait out an answer to its first attempt', async () => {
    await using server = await new EventServer([
      // oxlint-disable-next-line require-yield -- fails before its first event
      async function* () {
        fail('DRAINING', 'Not now.');
      },
    ]).listen();
    expect((await failureOf(open(server.url))).error.code).toBe('DRAINING');
  });

  test('finds a connection that is silently dead by the missing pings', async () => {
    const dead: Connection = async function* ({ signal }) {
      yield event(1);
      await aborted(signal);
    };
    await using server = await new EventServer([dead, serve(2)], { reconnectAfterInactivityMs: 200 }).listen();
    expect(await take(open(server.url), 2)).toEqual([1, 2]);
  });

  test('stays on a quiet connection that is pinged', async () => {
    await using server = await new EventServer(
      [
        async function* ({ after, signal }) {
          const pause = new Promise((resolve) => setTimeout(resolve, 700));
          yield event(after + 1);
          await Promise.race([pause, aborted(signal)]);
          yield event(after + 2);
          await aborted(signal);
        },
      ],
      { pingMs: 20, reconnectAfterInactivityMs: 300 },
    ).listen();
    expect(await take(open(server.url), 2)).toEqual([1, 2]);
    expect(server.requests).toHaveLength(1);
  });

  test('gives up on a control plane that stays away, naming its address', async () => {
    const server = await new EventServer([serve(1)]).listen();
    const events = open(server.url, { reconnectForMs: 400 });
    expect((await events.next()).value?.seq).toBe(1);
    await server.close();
    const error: unknown = await events.next().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE', message: expect.stringContaining(server.url) });
  });

  test('says when what answers is not a control plane, without trying for minutes', async () => {
    const server = createServer((_, response) =>
      response.setHeader('content-type', 'text/html').end('<h1>It works!</h1>'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { error } = await failureOf(open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    server.close();
    expect(error).toMatchObject({
      code: 'CONTROL_PLANE_UNREACHABLE',
      message: expect.stringContaining('is not a Caisson control plane (HTTP 200, text/html)'),
    });
  });

  test('holds the server back when the consumer is slow', async () => {
    let produced = 0;
    await using server = await new EventServer([
      async function* ({ signal }) {
        const filler = 'x'.repeat(64 * 1024);
        for (let seq = 1; seq <= 2_000 && !signal.aborted; seq++) {
          produced = seq;
          yield event(seq, filler);
        }
        await aborted(signal);
      },
    ]).listen();
    const events = open(server.url);
    expect((await events.next()).value?.seq).toBe(1);
    await settled(() => produced);
    expect(produced).toBeLessThan(1_000); // 64 KiB each: what the sockets and one read hold
    const rest = await take(events, 1_999);
    expect(rest).toEqual(upTo(2, 2_000));
  });

  test('ends without an error when its signal aborts, and lets the connection go', async () => {
    let closed: (() => void) | undefined;
    const gone = new Promise<void>((resolve) => (closed = resolve));
    await using server = await new EventServer([
      async function* ({ signal }) {
        yield event(1);
        await aborted(signal);
        closed?.();
      },
    ]).listen();
    const controller = new AbortController();
    const seqs: number[] = [];
    for await (const { seq } of open(server.url, { signal: controller.signal })) {
      seqs.push(seq);
      controller.abort();
    }
    expect(seqs).toEqual([1]);
    await gone;
  });

  test('whatever the faults, the consumer sees every event once', async () => {
    const fault = fc.record({ events: fc.nat(40), resend: fc.nat(5), end: fc.constantFrom('cut', 'return', 'drain') });
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 4 }), async (faults) => {
        const server: EventServer = new EventServer([
          ...faults.map(
            ({ events, resend, end }): Connection =>
              async function* ({ after, signal }) {
                for (let seq = Math.max(1, after + 1 - resend); seq <= Math.min(100, after + events); seq++)
                  yield event(seq);
                if (end === 'drain' && after + events > 0) fail('DRAINING', 'Again, please.');
                if (end === 'cut') {
                  server.cut();
                  await aborted(signal);
                }
              },
          ),
          serve(100),
        ]);
        await using _server = await server.listen();
        const events = open(server.url);
        try {
          expect(await take(events, 100)).toEqual(upTo(1, 100));
        } catch (thrown) {
          // A first attempt that is refused ends the subscription by design.
          if (!(thrown instanceof CaissonError) || thrown.code !== 'DRAINING') throw thrown;
        }
      }),
      { numRuns: 20 },
    );
  }, 60_000);
});

/** Resolves when the value has not changed for a while. */
async function settled(read: () => number): Promise<void> {
  for (let before = -1; before !== read();) {
    before = read();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
