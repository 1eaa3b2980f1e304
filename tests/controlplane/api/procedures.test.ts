import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaissonError } from '../../../src/kernel/errors.ts';
import {
  newAgentId,
  newMessageId,
  newPermissionId,
  type ConversationId,
  type AgentId,
  type RunId,
} from '../../../src/kernel/ids.ts';
import { startServer, type RunningServer } from '../running-server.ts';
import { until } from '../../until.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface Made {
  readonly id: AgentId;
}
let counter = 0;

async function newAgent(): Promise<Made> {
  counter += 1;
  const { data } = await server.mutate(server.alice, 'agents.create', { name: `worker-${counter}`, wait: true });
  return data as Made;
}

async function newConversation(agentId: AgentId): Promise<ConversationId> {
  const { data } = await server.mutate(server.alice, 'conversations.open', { agentId });
  return (data as { id: ConversationId }).id;
}

/** Plays the harness of the next run of an agent. */
async function playNextTurn(
  agentId: AgentId,
  conversationId: ConversationId,
  reply: readonly string[],
): Promise<RunId> {
  const guest = server.sandboxes.currentGuest(agentId);
  if (guest === undefined) throw new Error('no guest');
  const known = new Set(guest.turns.keys());
  const runId = await until('a turn', () => [...guest.turns.keys()].find((id) => !known.has(id)));
  await guest.say({ type: 'turn.started', runId, conversationId });
  for (const text of reply) {
    const event = { type: 'message.completed', messageId: newMessageId(), content: [{ type: 'text', text }] } as const;
    await guest.say({ type: 'event', conversationId, runId, event: { ...event, content: [...event.content] } });
  }
  await guest.say({
    type: 'turn.ended',
    runId,
    conversationId,
    outcome: { state: 'completed', reason: 'end_turn', usage: null },
  });
  return runId;
}

describe('agents', () => {
  test('create answers with the agent, its defaults filled in', async () => {
    const { status, data } = await server.mutate(server.alice, 'agents.create', { name: 'first' });
    expect(status).toBe(200);
    expect(data).toMatchObject({
      name: 'first',
      ownerId: server.alice.principal.userId,
      harness: 'codex',
      model: null,
      provider: 'scripted',
      limits: { cpus: 2, memoryBytes: 2_147_483_648, pids: 512 },
    });
  });

  test('create with wait answers when the sandbox runs', async () => {
    const { data } = await server.mutate(server.alice, 'agents.create', { name: 'awaited', wait: true });
    expect(data).toMatchObject({ sandbox: { state: 'running' } });
  });

  test('create with wait tells what kept the sandbox from starting, and names the agent that is there', async () => {
    server.sandboxes.startError = new CaissonError('SANDBOX_IMAGE_MISSING', 'There is no image.');
    const { status, error } = await server.mutate(server.alice, 'agents.create', { name: 'unlucky', wait: true });
    server.sandboxes.startError = undefined;
    expect(status).toBe(503);
    expect(error).toMatchObject({
      code: 'SANDBOX_IMAGE_MISSING',
      message: 'Agent unlucky is there, but its sandbox did not start: There is no image.',
      hint: expect.stringMatching(/ Its next message starts it\.$/),
      details: { agentId: expect.stringMatching(/^agt-/) },
    });
    const { data } = await server.query(server.alice, 'agents.get', { name: 'unlucky' });
    expect(data).toMatchObject({ id: error?.details['agentId'] });
  });

  test.each([
    ['a name with capitals', { name: 'Bad' }, /name: must be 1 to 63/],
    ['a name that looks like an id', { name: 'agt-1' }, /name: must not start with agt-/],
    ['no name', {}, /name: /],
    ['an unknown harness', { name: 'x', harness: 'vim' }, /no harness "vim"/],
    ['more than the limit', { name: 'x', limits: { cpus: 64 } }, /limits\.cpus is 64; at most 2/],
    ['less than a sandbox needs', { name: 'x', limits: { pids: 1 } }, /limits\.pids/],
    ['an unknown field', { name: 'x', ownerId: 'usr-1' }, /ownerId/],
    ['a model with a space', { name: 'x', model: 'a b' }, /model/],
  ])('create refuses %s and changes nothing', async (_what, input, message) => {
    const before = await server.query(server.bob, 'agents.list');
    const { status, error } = await server.mutate(server.bob, 'agents.create', input);
    expect(status).toBe(400);
    expect(error).toMatchObject({ code: 'BAD_REQUEST', message: expect.stringMatching(message) });
    expect((await server.query(server.bob, 'agents.list')).data).toEqual(before.data);
  });

  test('a taken name is a conflict', async () => {
    await server.mutate(server.alice, 'agents.create', { name: 'twice' });
    const { status, error } = await server.mutate(server.alice, 'agents.create', { name: 'twice' });
    expect([status, error?.code]).toEqual([409, 'NAME_TAKEN']);
  });

  test('list pages through the own agents only; an administrator sees all', async () => {
    await newAgent();
    await newAgent();
    const first = (await server.query(server.alice, 'agents.list', { limit: 1 })).data as {
      items: Made[];
      nextCursor: string;
    };
    const second = (await server.query(server.alice, 'agents.list', { limit: 1, cursor: first.nextCursor })).data as {
      items: Made[];
    };
    expect(first.items).toHaveLength(1);
    expect(second.items[0]?.id).not.toBe(first.items[0]?.id);
    expect((await server.query(server.bob, 'agents.list')).data).toMatchObject({ items: [], nextCursor: null });
    const all = (await server.query(server.admin, 'agents.list', { limit: 200 })).data as { items: Made[] };
    expect(all.items.map(({ id }) => id)).toContain(first.items[0]?.id);
  });

  test('a cursor that was never given is refused', async () => {
    const { status, error } = await server.query(server.alice, 'agents.list', { cursor: 'nonsense' });
    expect([status, error?.code]).toEqual([400, 'BAD_REQUEST']);
  });

  test('delete answers when the agent is gone, can be repeated, and leaves those of others alone', async () => {
    const { id: agentId } = await newAgent();
    const remove = async (caller: RunningServer['alice']) =>
      (await server.mutate(caller, 'agents.delete', { agentId })).data;
    expect(await remove(server.bob)).toEqual({ agentId, existed: false });
    expect(server.sandboxes.guests.has(agentId)).toBe(true);
    expect(await remove(server.alice)).toEqual({ agentId, existed: true });
    expect(await remove(server.alice)).toEqual({ agentId, existed: false });
    expect((await server.query(server.alice, 'agents.get', { agentId })).error?.code).toBe('AGENT_NOT_FOUND');
    expect(server.sandboxes.guests.has(agentId)).toBe(false);
  });
});

describe('a message and its run', () => {
  test('sendMessage waits for the end and returns what the agent said', async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    const sent = server.mutate(server.alice, 'agents.sendMessage', { agentId, conversationId, message: 'hello' });
    const runId = await playNextTurn(agentId, conversationId, ['I look.', 'Done.']);
    const { status, data } = await sent;
    expect(status).toBe(200);
    expect(data).toMatchObject({
      outcome: { status: 'ok', runId, error: null, run: { state: 'completed', reason: 'end_turn' } },
      reply: 'I look.\n\nDone.',
      messages: [{ role: 'agent' }, { role: 'agent' }],
    });
    const history = await server.query(server.alice, 'agents.history', { agentId, conversationId });
    expect(history.data).toMatchObject({ items: [{ role: 'user', senderId: server.alice.principal.userId }, {}, {}] });
  });

  test('the run goes on when the caller of sendMessage leaves', async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    const leave = new AbortController();
    const sent = fetch(`${server.url}/trpc/agents.sendMessage`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.alice.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ agentId, conversationId, message: 'hello' }),
      signal: leave.signal,
    });
    sent.catch(() => undefined); // it is abandoned on purpose
    const guest = server.sandboxes.currentGuest(agentId);
    await until('the turn', () => guest?.turns.size === 1);
    leave.abort();
    await expect(sent).rejects.toThrow('aborted');
    const [runId] = guest?.turns.keys() ?? [];
    const outcome = { state: 'completed', reason: 'end_turn', usage: null } as const;
    if (runId !== undefined) await guest?.say({ type: 'turn.ended', runId, conversationId, outcome });
    expect((await server.query(server.alice, 'runs.wait', { runId })).data).toMatchObject({ status: 'ok' });
  });

  test('wait: a time-out ends the wait only, and 0 looks once', async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    const started = await server.mutate(server.alice, 'runs.start', { conversationId, message: 'hold' });
    const { runId } = started.data as { runId: RunId };
    expect((await server.query(server.alice, 'runs.wait', { runId, timeoutMs: 0 })).data).toEqual({
      status: 'timeout',
      runId,
    });
    expect((await server.query(server.alice, 'runs.wait', { runId, timeoutMs: 20 })).data).toEqual({
      status: 'timeout',
      runId,
    });
    await server.mutate(server.alice, 'conversations.close', { conversationId });
    const guest = server.sandboxes.currentGuest(agentId);
    await guest?.say({
      type: 'turn.ended',
      runId,
      conversationId,
      outcome: { state: 'canceled', reason: 'canceled_by_user', message: '' },
    });
    expect((await server.query(server.alice, 'runs.wait', { runId, timeoutMs: 0 })).data).toMatchObject({
      status: 'error',
      error: { state: 'canceled' },
    });
    const { status, error } = await server.mutate(server.alice, 'runs.cancel', { runId });
    expect([status, error?.code]).toEqual([412, 'RUN_ENDED']);
  });

  test('an idempotency key answers the same again, and refuses another message', async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    const request = { conversationId, message: 'once', idempotencyKey: 'k1' };
    const [one, two] = [
      await server.mutate(server.alice, 'runs.start', request),
      await server.mutate(server.alice, 'runs.start', request),
    ];
    expect(two.data).toEqual(one.data);
    const other = await server.mutate(server.alice, 'runs.start', { ...request, message: 'twice' });
    expect([other.status, other.error?.code]).toEqual([409, 'IDEMPOTENCY_CONFLICT']);
  });

  test.each([
    ['an empty message', ' \n', 400, 'MESSAGE_EMPTY'],
    ['no blocks', [], 400, 'MESSAGE_EMPTY'],
    ['a NUL', 'a\0b', 400, 'BAD_REQUEST'],
    ['half a surrogate pair', 'a\ud800b', 400, 'BAD_REQUEST'],
    ['a number', 7, 400, 'BAD_REQUEST'],
    ['an image', [{ type: 'image', data: '' }], 400, 'BAD_REQUEST'],
    ['more than a message may hold', 'x'.repeat(1_048_577), 413, 'MESSAGE_TOO_LARGE'],
  ])('runs.start refuses %s and changes nothing', async (_what, message, status, code) => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    const answer = await server.mutate(server.alice, 'runs.start', { conversationId, message });
    expect([answer.status, answer.error?.code]).toEqual([status, code]);
    expect((await server.query(server.alice, 'agents.history', { agentId })).data).toMatchObject({ items: [] });
    expect((await server.query(server.alice, 'runs.list', { agentId })).data).toMatchObject({ items: [] });
  });

  test("a time-out beyond the operator's limit is refused, and names the limit", async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    const week = 7 * 24 * 3_600_000;
    const message = 'hi';
    for (const { status, error } of [
      await server.mutate(server.alice, 'runs.start', { conversationId, message, timeoutMs: week }),
      await server.mutate(server.alice, 'agents.sendMessage', { agentId, conversationId, message, runTimeoutMs: week }),
    ]) {
      expect([status, error?.code]).toEqual([400, 'BAD_REQUEST']);
      expect(error?.details).toMatchObject({ asked: week, most: 600_000 });
    }
  });

  test('a closed conversation takes no message', async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    await server.mutate(server.alice, 'conversations.close', { conversationId });
    const { status, error } = await server.mutate(server.alice, 'runs.start', { conversationId, message: 'hi' });
    expect([status, error?.code]).toEqual([412, 'CONVERSATION_CLOSED']);
  });

  test('a conversation is reached through its own agent only', async () => {
    const [{ id: one }, { id: other }] = [await newAgent(), await newAgent()];
    const conversationId = await newConversation(one);
    const answer = await server.mutate(server.alice, 'agents.sendMessage', {
      agentId: other,
      conversationId,
      message: 'hi',
    });
    expect(answer.error?.code).toBe('CONVERSATION_NOT_FOUND');
  });
});

describe('the model and the mode of a conversation', () => {
  test('are chosen when it is opened and later, reach the guest with the next turn, and are told', async () => {
    const { id: agentId } = await newAgent();
    const opened = await server.mutate(server.alice, 'conversations.open', { agentId, model: 'gpt-5.5', mode: 'plan' });
    expect(opened.data).toMatchObject({ model: 'gpt-5.5', mode: 'plan' });
    const { id: conversationId } = opened.data as { id: ConversationId };
    const changed = await server.mutate(server.alice, 'conversations.configure', { conversationId, model: null });
    expect(changed.data).toMatchObject({ id: conversationId, model: null, mode: 'plan' });
    await server.mutate(server.alice, 'runs.start', { conversationId, message: 'hi' });
    const guest = server.sandboxes.currentGuest(agentId);
    const [turn] = await until('the turn', () => guest?.turns.size === 1 && [...guest.turns.values()]);
    expect(turn?.session).toMatchObject({ conversationId, model: null, mode: 'plan' });
    const offer = { modes: [{ id: 'plan', name: 'Plan' }], models: [], mode: 'plan', model: null };
    await guest?.say({ type: 'session.opened', conversationId, sessionId: 's', how: 'new', ...offer });
    expect((await server.query(server.alice, 'agents.status', { agentId })).data).toMatchObject({
      offer,
      conversations: [{ id: conversationId, model: null, mode: 'plan' }],
    });
  });

  test.each([
    ['nothing to change', {}, 'must name a model or a mode'],
    ['an empty mode', { mode: '' }, 'mode: '],
    ['a mode with a line feed', { mode: 'a\nb' }, 'mode: must not hold control or format characters'],
    ['half a surrogate pair', { model: 'a\ud800' }, 'model: must be well-formed Unicode'],
    ['an id that is too long', { model: 'x'.repeat(201) }, 'model: '],
    ['a number', { mode: 1 }, 'mode: '],
    ['another field', { mode: 'a', title: 'b' }, 'title'],
  ])('configure refuses %s and changes nothing', async (_what, choices, message) => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    const { status, error } = await server.mutate(server.alice, 'conversations.configure', {
      conversationId,
      ...choices,
    });
    expect(status).toBe(400);
    expect(error).toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining(message) });
    const { data } = await server.query(server.alice, 'conversations.get', { conversationId });
    expect(data).toMatchObject({ model: null, mode: null });
  });

  test('stay as they are once it is closed', async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    await server.mutate(server.alice, 'conversations.close', { conversationId });
    const { status, error } = await server.mutate(server.alice, 'conversations.configure', {
      conversationId,
      mode: 'plan',
    });
    expect([status, error?.code]).toEqual([412, 'CONVERSATION_CLOSED']);
  });
});

describe('permissions', () => {
  test('a request is listed, answered once, and the answer reaches the guest', async () => {
    const { id: agentId } = await newAgent();
    const conversationId = await newConversation(agentId);
    await server.mutate(server.alice, 'runs.start', { conversationId, message: 'push' });
    const guest = server.sandboxes.currentGuest(agentId);
    const runId = await until('the turn', () => guest?.turns.keys().next().value);
    const permissionId = newPermissionId();
    await guest?.say(
      { type: 'turn.started', runId, conversationId },
      {
        type: 'event',
        conversationId,
        runId,
        event: {
          type: 'permission.requested',
          permissionId,
          toolCallId: 't1',
          title: 'git push',
          kind: 'execute',
          content: [],
          options: [{ optionId: 'allow_once', name: 'Allow', kind: 'allow_once' }],
          expiresAt: Date.now() + 60_000,
        },
      },
    );
    const listed = await server.query(server.alice, 'permissions.list', { agentId });
    expect(listed.data).toMatchObject({ items: [{ id: permissionId, state: 'pending' }] });
    expect((await server.query(server.bob, 'permissions.list')).data).toEqual({ items: [], nextCursor: null });
    const wrong = await server.mutate(server.alice, 'permissions.respond', { permissionId, optionId: 'nope' });
    expect([wrong.status, wrong.error?.code]).toEqual([400, 'BAD_REQUEST']);
    const answered = await server.mutate(server.alice, 'permissions.respond', { permissionId, optionId: 'allow_once' });
    expect(answered.data).toEqual({ permissionId });
    expect(guest?.answers).toEqual([{ optionId: 'allow_once', resolvedBy: server.alice.principal.userId }]);
  });
});

describe('events.read', () => {
  test('reads pages by cursor, and says what is wrong with a cursor', async () => {
    const { id: agentId } = await newAgent();
    await newConversation(agentId);
    const all = (await server.query(server.alice, 'events.read', { agentId })).data as {
      events: { seq: number; type: string }[];
    };
    expect(all.events.map(({ seq }) => seq)).toEqual(all.events.map((_, index) => index + 1));
    const last = all.events.length;
    const page = (await server.query(server.alice, 'events.read', { agentId, after: 1, limit: 1 })).data;
    expect(page).toEqual({ events: [all.events[1]] });
    expect((await server.query(server.alice, 'events.read', { agentId, after: last })).data).toEqual({ events: [] });
    const ahead = await server.query(server.alice, 'events.read', { agentId, after: last + 1 });
    expect([ahead.status, ahead.error?.code]).toEqual([400, 'CURSOR_AHEAD']);
    await server.storage.agents.pruneEvents(agentId, { events: last - 1, bytes: Infinity });
    const expired = await server.query(server.alice, 'events.read', { agentId, after: 0 });
    expect([expired.status, expired.error?.code, expired.error?.details]).toEqual([
      412,
      'CURSOR_EXPIRED',
      { after: 0, first: 2, last },
    ]);
  });
});

describe('system', () => {
  test('health needs no key; version tells what this is and who is asking', async () => {
    expect((await server.query(null, 'system.health')).data).toEqual({ status: 'ok' });
    expect((await server.query(server.bob, 'system.version')).data).toMatchObject({
      provider: 'scripted',
      model: { name: 'gpt-5.5', demo: true },
      principal: { userName: 'bob', role: 'member' },
    });
  });

  test('sandboxes are counted by their state, of the own agents; one that runs and has no guest is not attached', async () => {
    await using own = await startServer();
    const none = { starting: 0, running: 0, unattached: 0, stopped: 0, failed: 0 };
    const ids: AgentId[] = [];
    for (const name of ['one', 'two']) {
      const made = await own.mutate(own.alice, 'agents.create', { name, wait: true });
      ids.push((made.data as { id: AgentId }).id);
    }
    const [one, two] = ids;
    if (one === undefined || two === undefined) throw new Error('no agents');
    expect((await own.query(own.alice, 'system.sandboxes')).data).toEqual({ ...none, running: 2 });
    own.sandboxes.guests.delete(one);
    await own.sandboxes.observer.sandboxFailed(two, { code: 'SANDBOX_START_FAILED', message: 'no' });
    expect((await own.query(own.admin, 'system.sandboxes')).data).toEqual({ ...none, unattached: 1, failed: 1 });
    expect((await own.query(own.bob, 'system.sandboxes')).data).toEqual(none);
  });

  test('an id that never was is not found', async () => {
    expect((await server.query(server.admin, 'agents.get', { agentId: newAgentId() })).error?.code).toBe(
      'AGENT_NOT_FOUND',
    );
  });
});
