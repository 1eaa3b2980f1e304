import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { streamedDeltas } from '../doubles/scripted-model.ts';
import { modelKey, startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { inside } from './support/inside.ts';
import { isRunEnd } from './support/sound-log.ts';
import { Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

const fileOf = async (talk: Talk, path: string): Promise<string> =>
  (await inside(plane.provider, talk.agentId, `cat ${path}`)).stdout;

describe('one turn', () => {
  test('text is answered, kept, and asked of the model once', async () => {
    await using talk = await Talk.open(plane.client, 'text');
    const before = plane.model.requestCount;
    const { run, said, end } = await talk.say('say hello there');
    expect(said).toEqual(['hello there']);
    expect(end).toMatchObject({
      type: 'run.completed',
      reason: 'end_turn',
      usage: { outputTokens: expect.any(Number) },
    });
    const { items } = await talk.client.agents.history.query({ agentId: talk.agentId });
    expect(items.map(({ role, senderId, content }) => ({ role, senderId, content }))).toEqual([
      { role: 'user', senderId: run.startedBy, content: [{ type: 'text', text: 'say hello there' }] },
      { role: 'agent', senderId: null, content: [{ type: 'text', text: 'hello there' }] },
    ]);
    await talk.say('say once more');
    expect(plane.model.requestCount - before).toBe(2);
  });

  test('a command is told with its title, output and exit code', async () => {
    await using talk = await Talk.open(plane.client, 'command');
    const { events, said, printed } = await talk.say('run echo one; exit 3');
    expect(events.find(({ type }) => type === 'tool.started')).toMatchObject({
      title: 'echo one; exit 3',
      kind: 'execute',
    });
    expect(events.find(({ type }) => type === 'tool.completed')).toMatchObject({ status: 'failed', exitCode: 3 });
    expect(printed).toBe('one\n');
    expect(said.at(-1)).toBe('`echo one; exit 3` exited with code 3 and printed:\n\n```\none\n```');
  });

  test('what a command printed before and after a pause is told, each line once and in order', async () => {
    await using talk = await Talk.open(plane.client, 'pause');
    const { printed } = await talk.say('run echo line1; sleep 1; echo line2');
    expect(printed).toBe('line1\nline2\n');
  });

  test('of an output of 2 MB, from which Codex cuts the middle at the end, what was told before stays', async () => {
    await using talk = await Talk.open(plane.client, 'long-output');
    const { printed } = await talk.say('run sleep 1; seq 1 300000');
    expect(printed.length).toBeGreaterThanOrEqual(1024 * 1024); // of which Codex keeps as much
  });

  test('a file is written, a command run on it, and both are real', async () => {
    await using talk = await Talk.open(plane.client, 'hello-file');
    const { events, said, printed } = await talk.say('write hello.txt and run cat on it');
    expect(events.filter(({ type }) => type === 'tool.completed')).toMatchObject([{ exitCode: 0 }, { exitCode: 0 }]);
    expect(printed).toBe('Hello from the demo model.\n');
    expect(said.at(-1)).toContain('Hello from the demo model.');
    expect(await fileOf(talk, '/workspace/hello.txt')).toBe('Hello from the demo model.\n');
  });

  test('a patch is told as a diff and changes the file', async () => {
    await using talk = await Talk.open(plane.client, 'patch');
    const path = '/workspace/notes.txt';
    const diffs = async (message: string): Promise<readonly unknown[]> =>
      (await talk.say(message)).events.flatMap((event) =>
        event.type === 'tool.completed' ? event.content.filter(({ type }) => type === 'diff') : [],
      );
    const created = { type: 'diff', path, oldText: null, newText: 'first\n' };
    expect(await diffs('patch notes.txt: first')).toEqual([created]);
    const changed = { type: 'diff', path, oldText: 'first\n', newText: 'first\nsecond\n' };
    expect(await diffs('patch notes.txt: second')).toEqual([changed]);
    expect(await fileOf(talk, path)).toBe('first\nsecond\n');
  });

  test('a long answer comes in deltas that join to it', async () => {
    await using talk = await Talk.open(plane.client, 'stream');
    const { said, events } = await talk.say('stream 2000 x 8');
    expect(said).toEqual([[...streamedDeltas(2_000, 8)].join('')]);
    expect(events.filter(({ type }) => type === 'message.delta').length).toBeGreaterThan(10);
  });

  test('what the model thinks is told apart from what it says', async () => {
    await using talk = await Talk.open(plane.client, 'thought');
    const { said, events } = await talk.say('think twice');
    expect(said).toEqual(['thought']);
    expect(
      events
        .map((event) => (event.type === 'thought.delta' ? event.delta : ''))
        .join('')
        .trim(),
    ).toBe('twice');
  });

  test('text that begins with a slash reaches the model as text', async () => {
    await using talk = await Talk.open(plane.client, 'slash');
    for (const text of ['/status', '/compact', '  /logout now', '//', '/']) {
      const before = plane.model.requestCount;
      await talk.say(text);
      expect(plane.model.requestCount - before, text).toBe(1);
      expect(plane.model.requests.at(-1)?.userText.trim()).toBe(text.trim());
    }
  });

  test('a message of 900 KB, in every script, reaches the model whole', async () => {
    await using talk = await Talk.open(plane.client, 'large');
    const line = 'Zażółć gęślą jaźń · Привет · שלום · 你好，世界 · 🦑👩‍👩‍👧‍👦 · e\u0301 · \u202Eabc\u202C · \t"\\ \u2028\n';
    const message = line.repeat(Math.floor(900_000 / Buffer.byteLength(line))) + 'the end';
    await talk.say(message);
    expect(plane.model.requests.at(-1)?.userText === message).toBe(true);
    const { items } = await talk.client.agents.history.query({ agentId: talk.agentId });
    expect(items[0]?.content).toEqual([{ type: 'text', text: message }]);
    expect((await talk.say('say still here')).said).toEqual(['still here']);
  });
});

describe('several turns', () => {
  test('messages of one conversation are answered one after another, in order', async () => {
    await using talk = await Talk.open(plane.client, 'serial');
    const first = await talk.start('hold serial');
    await talk.log.event(first, 'message.delta');
    const second = await talk.start('say two');
    const third = await talk.start('say three');
    expect(await talk.log.event(third, 'run.queued')).toMatchObject({ ahead: 2 });
    expect((await talk.client.runs.get.query({ runId: second })).state).toBe('queued');
    plane.model.openGate('serial');
    const ended = [await talk.end(first), await talk.end(second), await talk.end(third)];
    expect(ended.map(({ said }) => said)).toEqual([['before after'], ['two'], ['three']]);
    const order = talk.log.events.filter((event) => event.type === 'run.starting' || isRunEnd(event));
    expect(order.map(({ runId }) => runId)).toEqual([first, first, second, second, third, third]);
  });

  test('a conversation goes on where it was; another one knows nothing of it', async () => {
    await using talk = await Talk.open(plane.client, 'continuity');
    await talk.say('say the word is squid');
    await talk.say('say what was the word');
    expect(plane.model.requests.at(-1)?.transcript).toEqual([
      { role: 'user', text: 'say the word is squid' },
      { role: 'assistant', text: 'the word is squid' },
      { role: 'user', text: 'say what was the word' },
    ]);
    await talk.say('say something else', { conversationId: await talk.openConversation() });
    expect(plane.model.requests.at(-1)?.transcript).toEqual([{ role: 'user', text: 'say something else' }]);
  });

  test('two conversations of one agent run at once', async () => {
    await using talk = await Talk.open(plane.client, 'two-talks');
    const [one, other] = [
      await talk.start('hold one'),
      await talk.start('hold other', { conversationId: await talk.openConversation() }),
    ];
    await talk.log.event(one, 'message.delta');
    await talk.log.event(other, 'message.delta');
    const { activeRuns } = await talk.client.agents.status.query({ agentId: talk.agentId });
    expect(activeRuns.map(({ state }) => state)).toEqual(['running', 'running']);
    plane.model.openGate('other');
    expect((await talk.end(other)).said).toEqual(['before after']);
    expect((await talk.client.runs.get.query({ runId: one })).state).toBe('running');
    plane.model.openGate('one');
    expect((await talk.end(one)).said).toEqual(['before after']);
  });

  test('eight agents work at once, each in its own workspace', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `many-${index}`);
    const answers = await Promise.all(
      names.map(async (name) => {
        await using talk = await Talk.open(plane.client, name);
        await talk.say(`write name.txt: ${name}`);
        const { said, printed } = await talk.say('run cat name.txt; ls');
        return [printed, said.at(-1)];
      }),
    );
    expect(answers).toEqual(
      names.map((name) => [
        `${name}\nname.txt\n`,
        `\`cat name.txt; ls\` exited with code 0 and printed:\n\n\`\`\`\n${name}\nname.txt\n\`\`\``,
      ]),
    );
  });
});

describe('what the model service is asked', () => {
  test('requests carry the key, which the sandbox neither has nor can replace', async () => {
    await using talk = await Talk.open(plane.client, 'key');
    await talk.say('say hello');
    expect(plane.model.requests.at(-1)?.authorization).toBe(`Bearer ${modelKey}`);
    for (const headers of ['', "-H 'authorization: Bearer forged'"]) {
      const body = JSON.stringify({ model: 'gpt-5.5', input: 'say by hand' });
      await talk.say(
        `run curl -s ${headers} -H 'content-type: application/json' -d '${body}' 127.0.0.1:7777/v1/responses`,
      );
      const byHand = plane.model.requests.findLast(({ userText }) => userText === 'say by hand');
      expect(byHand?.authorization).toBe(`Bearer ${modelKey}`);
    }
    expect(talk.log.events.filter((event) => JSON.stringify(event).includes(modelKey))).toEqual([]);
  });

  test('nothing was asked in all these turns that no user asked', () => {
    expect(plane.model.requests.filter(({ purpose }) => purpose !== 'turn')).toEqual([]);
  });
});
