import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentEvent, CaissonClient } from '../../src/client/index.ts';
import { until } from '../until.ts';
import { testSettings } from './support/control-plane.ts';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from './support/control-plane-process.ts';

const undo = new AsyncDisposableStack();
let environment: Record<string, string>;
let model: Awaited<ReturnType<typeof testSettings>>['model'];
let provider: Awaited<ReturnType<typeof testSettings>>['provider'];

beforeAll(async () => {
  const settings = await testSettings(undo);
  ({ model, provider } = settings);
  environment = { ...settings.environment, CAISSON_PORT: String(await freePort()) };
});
afterAll(() => undo.disposeAsync());

async function newTalk(client: CaissonClient, name: string) {
  const agent = await client.agents.create.mutate({ name, wait: true });
  const conversation = await client.conversations.open.mutate({ agentId: agent.id });
  return { agentId: agent.id, conversationId: conversation.id };
}

async function eventsOf(client: CaissonClient, agentId: AgentEvent['agentId']): Promise<readonly AgentEvent[]> {
  return (await client.events.read.query({ agentId, after: 0, limit: 1_000 })).events;
}

const texts = (events: readonly AgentEvent[]): string[] =>
  events.flatMap((event) =>
    event.type === 'message.completed'
      ? [event.content.map((block) => (block.type === 'text' ? block.text : '')).join('')]
      : [],
  );

async function seen(client: CaissonClient, agentId: AgentEvent['agentId'], what: (event: AgentEvent) => boolean) {
  await until('the event', async () => (await eventsOf(client, agentId)).some(what));
}

/** What was last seen of a turn when the control plane is killed. */
const points: Record<string, (event: AgentEvent) => boolean> = {
  'when the turn has started': ({ type }) => type === 'run.started',
  'while the model speaks': ({ type }) => type === 'message.delta',
  'while the first command runs': ({ type }) => type === 'tool.started',
  'when the first command has ended': ({ type }) => type === 'tool.completed',
  'when the run is over': ({ type }) => type === 'run.completed',
};

describe('kill -9 of the control plane', () => {
  for (const [index, [when, reached]] of Object.entries(points).entries()) {
    test(`${when}: the next one has the whole turn, once`, async () => {
      let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
      await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
      const { agentId, conversationId } = await newTalk(controlPlane.client, `kill-${index}`);
      const { runId } = await controlPlane.client.runs.start.mutate({ conversationId, message: 'work for 2 seconds' });
      await seen(controlPlane.client, agentId, reached);
      await controlPlane.kill();

      controlPlane = await spawnControlPlane(environment);
      const { client } = controlPlane;
      const outcome = await client.runs.wait.query({ runId, timeoutMs: 40_000 });
      expect(outcome.status).toBe('ok');
      const events = await eventsOf(client, agentId);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
      expect(texts(events)).toEqual([
        'Step 1 of 2.',
        'Step 2 of 2.',
        expect.stringMatching(/^All 2 steps are done:\n\n- step 1 of 2\n- step 2 of 2\n$/),
      ]);
      const count = (type: AgentEvent['type']) => events.filter((event) => event.type === type).length;
      expect(count('tool.started')).toBe(2);
      expect(count('tool.completed')).toBe(2);
      expect(count('message.added')).toBe(1);
      expect(count('run.started')).toBe(1);
      expect(count('run.completed')).toBe(1);
      const history = await client.agents.history.query({ agentId });
      expect(history.items.map(({ role }) => role)).toEqual(['user', 'agent', 'agent', 'agent']);
      await client.agents.delete.mutate({ agentId });
    });
  }

  test.each([
    ['the run was accepted, before it was queued', 'run-accepted'],
    ['the run was tied to its sandbox, before the prompt left', 'run-fenced'],
    ['the prompt had left, before that was noted', 'run-handed-over'],
    ['a part of the journal was stored, before it was acknowledged', 'journal-stored'],
  ])('when %s: the next one has the whole turn, once', async (_when, point) => {
    let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
    await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
    const { agentId, conversationId } = await newTalk(controlPlane.client, point);
    await controlPlane.stop();
    controlPlane = await spawnControlPlane({ ...environment, CAISSON_CRASH_AT: point });
    const idempotencyKey = point;
    const request = { conversationId, message: 'work for 2 steps', idempotencyKey };
    await controlPlane.client.runs.start.mutate(request).catch(() => undefined); // its answer may go with the process
    await controlPlane.dead;

    controlPlane = await spawnControlPlane(environment);
    const { client } = controlPlane;
    const { runId } = await client.runs.start.mutate(request);
    expect((await client.runs.wait.query({ runId, timeoutMs: 40_000 })).status).toBe('ok');
    const events = await eventsOf(client, agentId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    expect(texts(events)).toEqual(['Step 1 of 2.', 'Step 2 of 2.', expect.stringContaining('All 2 steps are done')]);
    const count = (type: AgentEvent['type']) => events.filter((event) => event.type === type).length;
    for (const type of ['message.added', 'run.queued', 'run.starting', 'run.started', 'run.completed'] as const) {
      expect(`${count(type)} ${type}`).toBe(`1 ${type}`);
    }
    await client.agents.delete.mutate({ agentId });
  });

  test('runs that were queued start afterwards, and what was accepted is never lost', async () => {
    let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
    await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
    const { agentId, conversationId } = await newTalk(controlPlane.client, 'queued');
    const start = async (message: string) => await controlPlane.client.runs.start.mutate({ conversationId, message });
    const runs = [await start('hold kill'), await start('say second'), await start('say third')];
    await seen(controlPlane.client, agentId, ({ type }) => type === 'message.delta');
    await controlPlane.kill();
    controlPlane = await spawnControlPlane(environment);
    model.openGate('kill');
    for (const { runId } of runs) {
      expect((await controlPlane.client.runs.wait.query({ runId, timeoutMs: 40_000 })).status).toBe('ok');
    }
    expect(texts(await eventsOf(controlPlane.client, agentId))).toEqual(['before after', 'second', 'third']);
    await controlPlane.client.agents.delete.mutate({ agentId });
  });

  test('a subscriber resumes by its cursor over the kill, without a gap or a repeat', async () => {
    let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
    await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
    const { client } = controlPlane;
    const { agentId, conversationId } = await newTalk(client, 'subscriber');
    await client.runs.start.mutate({ conversationId, message: 'work for 2 seconds' });
    const received: AgentEvent[] = [];
    let killed = false;
    for await (const event of client.subscribe({ agentId, after: 0 })) {
      received.push(event);
      if (event.type === 'tool.started' && !killed) {
        killed = true;
        await controlPlane.kill();
        controlPlane = await spawnControlPlane(environment);
      }
      if (event.type === 'run.completed') break;
    }
    expect(received.map(({ seq }) => seq)).toEqual(received.map((_, at) => at + 1));
    expect(texts(received)).toHaveLength(3);
    await client.agents.delete.mutate({ agentId });
  });
});

test('a control plane that is stopped leaves its runs to the sandboxes, and the next one has them', async () => {
  let controlPlane = await spawnControlPlane(environment);
  await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
  const { agentId, conversationId } = await newTalk(controlPlane.client, 'stopped');
  const { runId } = await controlPlane.client.runs.start.mutate({ conversationId, message: 'work for 2 seconds' });
  await seen(controlPlane.client, agentId, ({ type }) => type === 'tool.started');
  expect(await controlPlane.stop()).toBe(0);
  controlPlane = await spawnControlPlane(environment);
  expect((await controlPlane.client.runs.wait.query({ runId, timeoutMs: 40_000 })).status).toBe('ok');
  await controlPlane.client.agents.delete.mutate({ agentId });
});

test('an agent whose creation or deletion was cut short by a kill can be used, or is gone, afterwards', async () => {
  let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
  await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
  const created = await controlPlane.client.agents.create.mutate({ name: 'half-made' });
  await controlPlane.kill();
  controlPlane = await spawnControlPlane(environment);
  const conversation = await controlPlane.client.conversations.open.mutate({ agentId: created.id });
  const answer = await controlPlane.client.agents.sendMessage.mutate({
    agentId: created.id,
    conversationId: conversation.id,
    message: 'say alive',
  });
  expect(answer.reply).toBe('alive');
  const deleting = controlPlane.client.agents.delete.mutate({ agentId: created.id });
  deleting.catch(() => undefined); // it is cut short below
  await until('the deletion has begun', async () => {
    const agent = await controlPlane.client.agents.get.query({ agentId: created.id }).catch(() => undefined);
    return agent === undefined || agent.deleting;
  });
  await controlPlane.kill();
  controlPlane = await spawnControlPlane(environment);
  await until('nothing is left of it', async () => {
    const listed = await controlPlane.client.agents.list.query({});
    return listed.items.length === 0 && (await provider.list()).length === 0;
  });
});
