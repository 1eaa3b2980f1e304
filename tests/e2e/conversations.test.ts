import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaissonError } from '../../src/client/index.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { Talk } from './support/talk.ts';
import { textOf } from './support/sound-log.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane({
    CAISSON_QUEUE_LIMIT: '2',
    CAISSON_MAX_MESSAGE_BYTES: '10k',
    CAISSON_MAX_BODY_BYTES: '32k',
  });
});
afterAll(() => plane[Symbol.asyncDispose]());

/** What the log tells so far of messages, runs and conversations; a session may be opened in advance at any time. */
async function toldBy({ client, agentId, log }: Talk): Promise<readonly string[]> {
  const { seq } = await client.agents.status.query({ agentId });
  await log.until(`event ${seq}`, (events) => events.length >= seq);
  return log.events.map(({ type }) => type).filter((type) => /^(message|run|conversation)\./.test(type));
}

describe('a conversation', () => {
  test('keeps its title and messages; each has its own', async () => {
    await using talk = await Talk.open(plane.client, 'titles');
    const { agentId } = talk;
    const named = await talk.client.conversations.open.mutate({ agentId, title: 'Plans' });
    expect(named).toMatchObject({ agentId, title: 'Plans', status: 'open', sessionId: null });
    await talk.say('say here');
    await talk.say('say there', { conversationId: named.id });
    const historyOf = async (conversationId?: string) =>
      (await talk.client.agents.history.query({ agentId, ...(conversationId && { conversationId }) })).items.map(
        ({ content }) => textOf(content),
      );
    expect(await historyOf(talk.conversationId)).toEqual(['say here', 'here']);
    expect(await historyOf(named.id)).toEqual(['say there', 'there']);
    expect(await historyOf()).toEqual(['say here', 'here', 'say there', 'there']);
    const { items } = await talk.client.conversations.list.query({ agentId });
    expect(items.map(({ title }) => title)).toEqual(['Plans', 'say here']);
    expect((await talk.client.conversations.get.query({ conversationId: named.id })).sessionId).not.toBeNull();
  });

  test('has a history that is read in pages, newest page first', async () => {
    await using talk = await Talk.open(plane.client, 'pages');
    for (const word of ['one', 'two', 'three']) await talk.say(`say ${word}`);
    const pages: string[][] = [];
    for (let cursor: string | null = null, page = 0; page === 0 || cursor !== null; page++) {
      const request = { agentId: talk.agentId, limit: 2, cursor };
      const read: Awaited<ReturnType<typeof talk.client.agents.history.query>> =
        await talk.client.agents.history.query(request);
      pages.push(read.items.map(({ content }) => textOf(content)));
      cursor = read.nextCursor;
    }
    expect(pages.filter((page) => page.length > 0)).toEqual([
      ['say three', 'three'],
      ['say two', 'two'],
      ['say one', 'one'],
    ]);
  });

  test('that is closed ends what is under way and queued, refuses messages, and stays readable', async () => {
    await using talk = await Talk.open(plane.client, 'closing');
    const { conversationId, agentId } = talk;
    await talk.say('say kept');
    const [underWay, queued] = [await talk.start('hold closing'), await talk.start('say never')];
    await talk.log.event(underWay, 'message.delta');
    expect(await talk.client.conversations.close.mutate({ conversationId })).toMatchObject({ status: 'closed' });
    expect((await talk.end(underWay)).run).toMatchObject({ state: 'canceled' });
    expect((await talk.end(queued)).run).toMatchObject({ state: 'canceled', reason: 'conversation_closed' });
    const told = await toldBy(talk);
    await expect(talk.start('say more')).rejects.toMatchObject({ code: 'CONVERSATION_CLOSED' });
    expect(await talk.client.conversations.close.mutate({ conversationId })).toMatchObject({ status: 'closed' });
    expect(await toldBy(talk)).toEqual(told);
    const { items } = await talk.client.agents.history.query({ agentId, conversationId });
    expect(items.map(({ content }) => textOf(content))).toEqual(['say kept', 'kept', 'hold closing', 'say never']);
    const another = await talk.openConversation();
    expect((await talk.say('say open', { conversationId: another })).said).toEqual(['open']);
  });
});

describe('an idempotency key', () => {
  test('used again with the same message gives the same run, also afterwards and at the same time', async () => {
    await using talk = await Talk.open(plane.client, 'idempotent');
    const { agentId, conversationId, client } = talk;
    const request = { conversationId, message: 'say once', idempotencyKey: 'key-1' };
    const accepted = await Promise.all(Array.from({ length: 5 }, () => client.runs.start.mutate(request)));
    expect(new Set(accepted.map((answer) => JSON.stringify(answer))).size).toBe(1);
    const [first] = accepted;
    expect((await talk.end(first?.runId ?? '')).said).toEqual(['once']);
    expect(await client.runs.start.mutate(request)).toEqual(first);
    const answer = await client.agents.sendMessage.mutate({ agentId, ...request });
    expect(answer).toMatchObject({ messageId: first?.messageId, reply: 'once' });
    expect((await client.runs.list.query({ agentId })).items).toHaveLength(1);
    expect(plane.model.requests.filter(({ userText }) => userText === 'say once')).toHaveLength(1);
  });

  test('used again with another message is refused and changes nothing; another conversation has its own', async () => {
    await using talk = await Talk.open(plane.client, 'conflict');
    const { conversationId, client } = talk;
    const idempotencyKey = 'key-2';
    const { runId } = await client.runs.start.mutate({ conversationId, message: 'say first', idempotencyKey });
    await talk.end(runId);
    const told = await toldBy(talk);
    const other = client.runs.start.mutate({ conversationId, message: 'say other', idempotencyKey });
    await expect(other).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', details: { runId } });
    expect(await toldBy(talk)).toEqual(told);
    const elsewhere = await talk.openConversation();
    const own = await client.runs.start.mutate({ conversationId: elsewhere, message: 'say other', idempotencyKey });
    expect((await talk.end(own.runId)).said).toEqual(['other']);
  });
});

describe('a message that cannot be taken', () => {
  const refused = [
    { what: 'an empty one', message: '', code: 'MESSAGE_EMPTY' },
    { what: 'white space', message: ' \n\t\u00a0', code: 'MESSAGE_EMPTY' },
    { what: 'one of no blocks', message: [], code: 'MESSAGE_EMPTY' },
    { what: 'one with NUL', message: 'a\0b', code: 'BAD_REQUEST' },
    { what: 'half a character', message: 'a\ud83d', code: 'BAD_REQUEST' },
    { what: 'one that is too large', message: 'é'.repeat(5_200), code: 'MESSAGE_TOO_LARGE' },
    { what: 'a body that is too large', message: 'x'.repeat(40_000), code: 'BODY_TOO_LARGE' },
  ];

  test.for(refused)('$what is refused with $code, a hint, and nothing changed', async ({ message, code }) => {
    await using talk = await Talk.open(plane.client, 'refused');
    const { agentId, conversationId, client } = talk;
    const told = await toldBy(talk);
    const blocks = typeof message === 'string' ? message : [...message];
    for (const call of [
      client.runs.start.mutate({ conversationId, message: blocks }),
      client.agents.sendMessage.mutate({ agentId, conversationId, message: blocks }),
    ]) {
      const thrown = await call.catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(CaissonError);
      expect(thrown).toMatchObject({ code, hint: expect.stringMatching(/./) });
    }
    expect(await toldBy(talk)).toEqual(told);
    expect((await client.runs.list.query({ agentId })).items).toEqual([]);
  });

  test('one more than can wait is refused; there is room again when one is over', async () => {
    await using talk = await Talk.open(plane.client, 'full');
    const first = await talk.start('hold full');
    await talk.log.event(first, 'message.delta');
    const [second, third] = [await talk.start('say second'), await talk.start('say third')];
    const told = await toldBy(talk);
    await expect(talk.start('say fourth')).rejects.toMatchObject({
      code: 'QUEUE_FULL',
      retryable: true,
      details: { limit: 2, used: 3 },
    });
    expect(await toldBy(talk)).toEqual(told);
    await talk.client.runs.cancel.mutate({ runId: second });
    const fourth = await talk.start('say fourth');
    plane.model.openGate('full');
    expect((await talk.end(third)).said).toEqual(['third']);
    expect((await talk.end(fourth)).said).toEqual(['fourth']);
  });
});
