import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { initTRPC, tracked } from '@trpc/server';
import { createHTTPHandler } from '@trpc/server/adapters/standalone';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { describe, expect, test } from 'vitest';
import type { AgentEvent } from '../../../src/agents/event.ts';
import { FrameWriter } from '../../../src/controlplane/api/sse/frame-writer.ts';
import { connectedFrame, itemFrame, pingFrame, returnFrame } from '../../../src/controlplane/api/sse/frames.ts';
import { newAgentId, newMessageId, type AgentId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningServer, startServer } from '../running-server.ts';

/** Reads a stream of events into `events`, in the background. */
class Reader {
  readonly frames: EventSourceMessage[] = [];
  readonly events: AgentEvent[] = [];
  isOver = false;
  error: unknown;

  constructor(response: Response) {
    void this.#read(response);
  }

  get failure(): unknown {
    const frame = this.frames.find(({ event }) => event === 'serialized-error');
    return frame && (JSON.parse(frame.data) as { data: { caisson: unknown } }).data.caisson;
  }

  async #read(response: Response): Promise<void> {
    const parser = createParser({
      onEvent: (frame) => {
        this.frames.push(frame);
        if (frame.event === undefined) this.events.push(JSON.parse(frame.data) as AgentEvent);
      },
    });
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
    } catch (thrown) {
      this.error = thrown;
    }
    this.isOver = true;
  }
}

async function newAgent(server: RunningServer): Promise<AgentId> {
  const { data } = await server.mutate(server.alice, 'agents.create', { name: 'worker', wait: true });
  return (data as { id: AgentId }).id;
}

/** Stores `count` events of about `size` bytes in the agent's log. */
async function storeEvents(server: RunningServer, agentId: AgentId, count: number, size = 8): Promise<void> {
  const { data } = await server.mutate(server.alice, 'conversations.open', { agentId });
  const conversationId = (data as { id: string }).id as never;
  const guest = server.sandboxes.currentGuest(agentId);
  const messageId = newMessageId();
  for (let done = 0; done < count; done += 1_000) {
    const bodies = Array.from({ length: Math.min(1_000, count - done) }, (_, index) => ({
      type: 'event' as const,
      conversationId,
      runId: null,
      event: { type: 'message.delta' as const, messageId, delta: 'x'.repeat(size), offset: (done + index) * size },
    }));
    await guest?.say(...bodies);
  }
}

describe('a subscription', () => {
  test('gives the stored events, then the live ones, each once, with its seq as id', async () => {
    await using server = await startServer();
    const agentId = await newAgent(server);
    await storeEvents(server, agentId, 3_000);
    const reader = new Reader(await server.subscribe(server.alice, { agentId }));
    await until('the stored events', () => reader.events.length >= 3_000);
    await storeEvents(server, agentId, 100);
    const { last } = await server.storage.agents.eventBounds(agentId);
    await until('the live events', () => reader.events.at(-1)?.seq === last);
    expect(reader.events.map(({ seq }) => seq)).toEqual(Array.from({ length: last }, (_, index) => index + 1));
    const ids = reader.frames.filter(({ event }) => event === undefined).map(({ id }) => id);
    expect(ids).toEqual(reader.events.map(({ seq }) => String(seq)));
  });

  test('begins after its cursor, and after the last id of a client that comes back', async () => {
    await using server = await startServer();
    const agentId = await newAgent(server);
    await storeEvents(server, agentId, 10);
    const after = new Reader(await server.subscribe(server.alice, { agentId, after: 5 }));
    const byHeader = new Reader(
      await server.subscribe(server.alice, { agentId, after: 5 }, { headers: { 'last-event-id': '7' } }),
    );
    const byInput = new Reader(await server.subscribe(server.alice, { agentId, lastEventId: '8' }));
    await until('events', () => after.events.length > 0 && byHeader.events.length > 0 && byInput.events.length > 0);
    expect([after, byHeader, byInput].map(({ events }) => events[0]?.seq)).toEqual([6, 8, 9]);
  });

  test.each([
    ['a cursor that lies ahead', (agentId: AgentId) => ({ agentId, after: 9_999 }), 'CURSOR_AHEAD'],
    ['an agent that never was', () => ({ agentId: newAgentId() }), 'AGENT_NOT_FOUND'],
    ['a cursor that is no number', (agentId: AgentId) => ({ agentId, lastEventId: 'x' }), 'BAD_REQUEST'],
    ['an unknown field', (agentId: AgentId) => ({ agentId, from: 1 }), 'BAD_REQUEST'],
    ['no object', () => 7, 'BAD_REQUEST'],
  ])('with %s is told what is wrong and ends', async (_what, input, code) => {
    await using server = await startServer();
    const reader = new Reader(await server.subscribe(server.alice, input(await newAgent(server))));
    await until('the end', () => reader.isOver);
    expect(reader.failure).toMatchObject({ code, hint: expect.any(String) });
    expect(reader.events).toEqual([]);
  });

  test('of input that is not JSON, or without a key, is refused', async () => {
    await using server = await startServer();
    const agentId = await newAgent(server);
    const headers = { authorization: `Bearer ${server.alice.secret}` };
    const garbled = new Reader(await fetch(`${server.url}/trpc/events.subscribe?input={`, { headers }));
    const keyless = new Reader(await server.subscribe(null, { agentId }));
    await until('the ends', () => garbled.isOver && keyless.isOver);
    expect(garbled.failure).toMatchObject({ code: 'BAD_REQUEST' });
    expect(keyless.failure).toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('ends when its agent is deleted', async () => {
    await using server = await startServer();
    const agentId = await newAgent(server);
    const reader = new Reader(await server.subscribe(server.alice, { agentId }));
    await until('an event', () => reader.events.length > 0);
    await server.mutate(server.alice, 'agents.delete', { agentId });
    await until('the end', () => reader.isOver);
    expect(reader.failure).toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });

  test('ends at once when its key is revoked, and those of other keys go on', async () => {
    await using server = await startServer();
    const agentId = await newAgent(server);
    const { secret, key } = await server.keys.issue({ user: 'alice', role: 'member', name: 'second' });
    const second = { secret, principal: server.alice.principal };
    const [revoked, other] = [
      new Reader(await server.subscribe(second, { agentId })),
      new Reader(await server.subscribe(server.alice, { agentId })),
    ];
    await until('both', () => revoked.events.length > 0 && other.events.length > 0);
    await server.mutate(server.admin, 'keys.revoke', { keyId: key.id });
    await until('the end', () => revoked.isOver);
    expect(revoked.failure).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(other.isOver).toBe(false);
  });

  test('ends without a word when the server closes, so that the client comes back', async () => {
    await using server = await startServer();
    const agentId = await newAgent(server);
    const reader = new Reader(await server.subscribe(server.alice, { agentId }));
    await until('an event', () => reader.events.length > 0);
    await server.close();
    await until('the end', () => reader.isOver);
    expect(reader.error).toBeUndefined();
    expect(reader.frames.map(({ event }) => event)).not.toContain('return');
    expect(reader.failure).toBeUndefined();
  });

  test('one too many of a key, or in all, is refused; a place that was left is free again', async () => {
    await using server = await startServer({ subscriptionLimits: { perKey: 1, inAll: 2 } });
    const agentId = await newAgent(server);
    const leave = new AbortController();
    const first = new Reader(await server.subscribe(server.alice, { agentId }, { signal: leave.signal }));
    await until('the first', () => first.events.length > 0);
    const second = new Reader(await server.subscribe(server.alice, { agentId }));
    await until('the refusal', () => second.isOver);
    expect(second.failure).toMatchObject({ code: 'TOO_MANY_CONNECTIONS', retryable: true, details: { limit: 1 } });
    const ofAdmin = new Reader(await server.subscribe(server.admin, { agentId }));
    await until('the other key', () => ofAdmin.events.length > 0);
    leave.abort();
    const again = await until('a free place', async () => {
      const reader = new Reader(await server.subscribe(server.alice, { agentId }));
      await until('an answer', () => reader.events.length > 0 || reader.isOver);
      return reader.failure === undefined && reader;
    });
    expect(again.events[0]?.seq).toBe(1);
  });
});

describe('a reader that does not read', () => {
  test('costs no memory: the server stops asking the store for its events', async () => {
    await using server = await startServer();
    const agentId = await newAgent(server);
    await storeEvents(server, agentId, 100_000, 100);
    let read = 0;
    const { agents } = server.storage;
    const readEvents = agents.readEvents.bind(agents);
    agents.readEvents = async (...range) => {
      const events = await readEvents(...range);
      read += events.length;
      return events;
    };
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.pause();
    const input = encodeURIComponent(JSON.stringify({ agentId }));
    socket.write(
      `GET /trpc/events.subscribe?input=${input} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${server.alice.secret}\r\n\r\n`,
    );
    const before = process.memoryUsage.rss();
    let last = -1;
    await until('the server to be held back', async () => {
      if (read > 0 && read === last) return true;
      last = read;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return false;
    });
    // What the two sockets' buffers hold, and one page.
    expect(read).toBeLessThan(50_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1_024 * 1_024);
    expect((await server.query(server.bob, 'system.version')).status).toBe(200);
    socket.destroy();
  });

  test('is disconnected after a while, and finds the rest by its cursor', async () => {
    await using server = await startServer({ stallMs: 100 });
    const agentId = await newAgent(server);
    await storeEvents(server, agentId, 20_000, 1_000);
    const response = await server.subscribe(server.alice, { agentId });
    const line = await until('the disconnection', () =>
      server.log.find(({ message }) => message === 'a subscriber that took nothing was disconnected'),
    );
    expect(line.fields).toMatchObject({ path: 'events.subscribe', agentId });
    const first = new Reader(response);
    await until('the end of the first', () => first.isOver);
    expect(first.error).toBeDefined();
    const seqs = first.events.map(({ seq }) => seq);
    const { last } = await server.storage.agents.eventBounds(agentId);
    expect(seqs.length).toBeLessThan(last);
    while (seqs.length < last) {
      const next = new Reader(await server.subscribe(server.alice, { agentId, after: seqs.length }));
      await until('the rest, or another disconnection', () => next.isOver || next.events.at(-1)?.seq === last);
      seqs.push(...next.events.map(({ seq }) => seq));
    }
    expect(seqs).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  });
});

describe('frames', () => {
  test("are those that tRPC's own adapter writes", async () => {
    const items = [tracked('1', { text: 'a\nb' }), tracked('2', { text: '☃' })];
    const t = initTRPC.create({ sse: { client: { reconnectAfterInactivityMs: 1_000 } } });
    const router = t.router({
      it: t.procedure.subscription(async function* () {
        yield* items;
      }),
    });
    const server = createServer(createHTTPHandler({ router }));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const theirs = await (await fetch(`http://127.0.0.1:${port}/it`)).text();
    server.close();
    const ours = [connectedFrame({ reconnectAfterInactivityMs: 1_000 }), ...items.map(itemFrame), returnFrame].join('');
    expect(parse(ours)).toEqual(parse(theirs));
    expect(ours).toBe(theirs);
  });

  test('of one turn of the event loop leave in one write, and a ping comes only where nothing else did', async () => {
    const written: string[] = [];
    const server = createServer((_request, response) => {
      const write = response.write.bind(response);
      response.write = ((text: string) => {
        written.push(text);
        return write(text);
      }) as typeof response.write;
      const writer = new FrameWriter(response, { stallMs: 1_000, pingMs: 20, ping: pingFrame });
      for (let index = 0; index < 100; index++) writer.add(itemFrame(index));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const leave = new AbortController();
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      signal: leave.signal,
    });
    await until('a ping', () => written.length >= 2);
    expect(written[0]).toBe(Array.from({ length: 100 }, (_, index) => itemFrame(index)).join(''));
    expect(written[1]).toBe(pingFrame);
    expect(response.ok).toBe(true);
    leave.abort();
    server.closeAllConnections();
    server.close();
  });
});

function parse(text: string): EventSourceMessage[] {
  const frames: EventSourceMessage[] = [];
  createParser({ onEvent: (frame) => frames.push(frame) }).feed(text);
  return frames;
}
