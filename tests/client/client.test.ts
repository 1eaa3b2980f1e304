import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaissonError, createCaissonClient, type AgentEvent, type CaissonClient } from '../../src/client/index.ts';
import { newAgentId, type AgentId, type ConversationId } from '../../src/kernel/ids.ts';
import { closedAddress } from '../cli/closed-address.ts';
import { playNextTurn } from '../cli/player.ts';
import { startServer, type RunningServer } from '../controlplane/running-server.ts';

let server: RunningServer;
let client: CaissonClient;
let agentId: AgentId;
let conversationId: ConversationId;

beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
  client = createCaissonClient({ url: `${server.url}/`, apiKey: server.alice.secret });
  agentId = (await client.agents.create.mutate({ name: 'worker', wait: true })).id;
  conversationId = (await client.conversations.open.mutate({ agentId })).id;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function errorOf(call: Promise<unknown>): Promise<CaissonError> {
  const thrown: unknown = await call.catch((error: unknown) => error);
  if (thrown instanceof CaissonError) return thrown;
  throw new Error(`not an error of ours: ${String(thrown)}`);
}

describe('calls', () => {
  test('answer with the types of the API', async () => {
    const { items } = await client.agents.list.query();
    expect(items.map(({ name }) => name)).toEqual(['worker']);
  });

  test('reject with the error of the control plane, its hint and details', async () => {
    const error = await errorOf(client.agents.get.query({ name: 'nobody' }));
    expect(error).toMatchObject({
      code: 'AGENT_NOT_FOUND',
      message: 'You have no agent called nobody.',
      retryable: false,
    });
    expect(error.hint).toContain('caisson agents list');
  });

  test('reject with UNAUTHORIZED for a wrong key', async () => {
    const stranger = createCaissonClient({ url: server.url, apiKey: 'ck_wrong' });
    expect((await errorOf(stranger.agents.list.query())).code).toBe('UNAUTHORIZED');
  });

  test('reject with CONTROL_PLANE_UNREACHABLE, which names the address and the reason', async () => {
    const url = await closedAddress();
    const nowhere = createCaissonClient({ url, apiKey: 'ck_x' });
    expect(await errorOf(nowhere.system.health.query())).toMatchObject({
      code: 'CONTROL_PLANE_UNREACHABLE',
      message: `No control plane answers at ${url}: connection refused.`,
      details: { url },
    });
  });

  test('say when somebody else answers', async () => {
    const page = new Response('<h1>hello</h1>', { status: 502, headers: { 'content-type': 'text/html' } });
    const wrong = createCaissonClient({ url: 'http://proxy.example', apiKey: 'ck_x', fetch: async () => page });
    const error = await errorOf(wrong.system.health.query());
    expect(error.message).toBe(
      'What answers at http://proxy.example is not a Caisson control plane (HTTP 502, text/html).',
    );
  });

  test('reject with ABORTED when the caller gives up', async () => {
    const signal = AbortSignal.abort();
    expect((await errorOf(client.agents.list.query({}, { signal }))).code).toBe('ABORTED');
  });

  test.for(['localhost:7070', 'ftp://example.com', ''])('the URL %s is refused at once', (url) => {
    expect(() => createCaissonClient({ url, apiKey: 'ck_x' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  test('a key with a line feed is refused at once, without showing it', () => {
    expect(() => createCaissonClient({ url: server.url, apiKey: 'ck_secret\n' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('secret') }),
    );
  });
});

describe('subscribe', () => {
  test('an unknown agent ends it with the error of the control plane', async () => {
    const events = client.subscribe({ agentId: newAgentId() })[Symbol.asyncIterator]();
    expect((await errorOf(events.next())).code).toBe('AGENT_NOT_FOUND');
  });

  test('a wrong key ends it', async () => {
    const stranger = createCaissonClient({ url: server.url, apiKey: 'ck_wrong' });
    const events = stranger.subscribe({ agentId })[Symbol.asyncIterator]();
    expect((await errorOf(events.next())).code).toBe('UNAUTHORIZED');
  });

  test('a revoked key ends it', async () => {
    const { key, secret } = await server.keys.issue({ user: 'alice', role: 'member', name: 'short-lived' });
    const guest = createCaissonClient({ url: server.url, apiKey: secret });
    const events = guest.subscribe({ agentId })[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ seq: 1, type: 'agent.created' });
    await createCaissonClient({ url: server.url, apiKey: server.admin.secret }).keys.revoke.mutate({ keyId: key.id });
    const drain = async (): Promise<void> => {
      while ((await events.next()).done !== true);
    };
    expect((await errorOf(drain())).code).toBe('UNAUTHORIZED');
  });
});

describe('send', () => {
  test('gives the events of its run in order, and all that the agent said', async () => {
    const events: AgentEvent[] = [];
    const sent = client.send({ agentId, conversationId, text: 'hello', onEvent: (event) => void events.push(event) });
    await playNextTurn(server, agentId, async (turn) => {
      expect(turn.text).toBe('hello');
      await turn.speak('First this.');
      await turn.runCommand('ls', 'a\n');
      await turn.speak('Then that.');
      await turn.end();
    });
    const { run, reply } = await sent;
    expect(run).toMatchObject({ state: 'completed', reason: 'end_turn' });
    expect(reply).toBe('First this.\n\nThen that.');
    expect(events.every(({ runId }) => runId === null || runId === run.id)).toBe(true);
    expect(events.at(-1)?.type).toBe('run.completed');
    expect(events.map(({ seq }) => seq)).toEqual(events.map(({ seq }) => seq).toSorted((a, b) => a - b));
  });

  test('resolves with a run that failed', async () => {
    const sent = client.send({ agentId, conversationId, text: 'fail' });
    await playNextTurn(server, agentId, (turn) =>
      turn.end({ state: 'failed', reason: 'model_error', message: 'HTTP 500' }),
    );
    expect((await sent).run).toMatchObject({ state: 'failed', reason: 'model_error', message: 'HTTP 500' });
  });

  test('its signal cancels the run, and it resolves with how that ended', async () => {
    const cancel = new AbortController();
    const sent = client.send({ agentId, conversationId, text: 'long', signal: cancel.signal });
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('Half of it');
      cancel.abort();
      await turn.canceled();
      await turn.end({ state: 'canceled', reason: 'canceled_by_user', message: '' });
    });
    expect(await sent).toMatchObject({ run: { state: 'canceled' }, reply: 'Half of it' });
  });

  test('the same key and text again give the run that is over, without waiting', async () => {
    const request = { agentId, conversationId, text: 'once', idempotencyKey: 'key-1' };
    const sent = client.send(request);
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('Done once.');
      await turn.end();
    });
    const first = await sent;
    expect(await client.send(request)).toEqual(first);
    expect((await errorOf(client.send({ ...request, text: 'other' }))).code).toBe('IDEMPOTENCY_CONFLICT');
  });

  test('a run in another conversation is not mixed in', async () => {
    const other = await client.conversations.open.mutate({ agentId });
    const [left, right] = [
      client.send({ agentId, conversationId, text: 'left' }),
      client.send({ agentId, conversationId: other.id, text: 'right' }),
    ];
    const answer = (): Promise<unknown> =>
      playNextTurn(server, agentId, async (turn) => {
        await turn.speak(`${turn.text} answer`);
        await turn.end();
      });
    await Promise.all([answer(), answer()]);
    expect([(await left).reply, (await right).reply]).toEqual(['left answer', 'right answer']);
  });

  test('follow takes up a run that is under way', async () => {
    const { runId } = await client.runs.start.mutate({ conversationId, message: 'begun elsewhere' });
    let followed: ReturnType<CaissonClient['follow']> | undefined;
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('Before.');
      const { seq } = await client.agents.status.query({ agentId });
      followed = client.follow({ runId, after: seq });
      await turn.speak('After.');
      await turn.end();
    });
    expect((await followed)?.reply).toBe('Before.\n\nAfter.');
  });

  test('rejects when the message is not taken', async () => {
    expect((await errorOf(client.send({ agentId, conversationId, text: ' ' }))).code).toBe('MESSAGE_EMPTY');
  });
});
