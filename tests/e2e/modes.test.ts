import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

/** The models that were asked to answer this text. */
const modelsFor = (text: string): string[] =>
  plane.model.requests.flatMap(({ userText, model, purpose }) =>
    purpose === 'turn' && userText === text ? [model] : [],
  );

test("another model answers from the next turn on, and the agent's again when none is chosen", async () => {
  await using talk = await Talk.open(plane.client, 'models');
  const { client, conversationId, agentId } = talk;
  const choose = async (model: string | null) => await client.conversations.configure.mutate({ conversationId, model });
  expect((await talk.say('say one')).said).toEqual(['one']);
  const { offer } = await client.agents.status.query({ agentId });
  expect(offer).toMatchObject({ model: 'gpt-5.5', mode: 'permission-profile:sandboxed' });
  expect(offer?.models.map(({ id }) => id)).toEqual(expect.arrayContaining(['gpt-5.5', 'gpt-5.6-sol']));
  const opened = talk.log.events.find((event) => event.type === 'session.opened');
  expect(opened).toMatchObject({ conversationId, how: 'new', ...offer });

  const held = await talk.start('hold models');
  await talk.log.event(held, 'message.delta');
  expect(await choose('gpt-5.6-sol')).toMatchObject({ model: 'gpt-5.6-sol' });
  plane.model.openGate('models');
  expect((await talk.end(held)).said).toEqual(['before after']);
  expect((await talk.say('say two')).said).toEqual(['two']);
  await choose(null);
  expect((await talk.say('say three')).said).toEqual(['three']);
  expect(['say one', 'hold models', 'say two', 'say three'].map(modelsFor)).toEqual([
    ['gpt-5.5'],
    ['gpt-5.5'],
    ['gpt-5.6-sol'],
    ['gpt-5.5'],
  ]);
});

test('each conversation has its own; one that is opened with a model begins with it', async () => {
  await using talk = await Talk.open(plane.client, 'apart');
  const { id } = await talk.client.conversations.open.mutate({ agentId: talk.agentId, model: 'gpt-5.6-terra' });
  await Promise.all([talk.say('say usual'), talk.say('say other', { conversationId: id })]);
  expect([modelsFor('say usual'), modelsFor('say other')]).toEqual([['gpt-5.5'], ['gpt-5.6-terra']]);
});

test('in every mode that is offered a command runs, and the model is asked by nobody but the agent', async () => {
  await using talk = await Talk.open(plane.client, 'offered');
  const { client, conversationId, agentId } = talk;
  await talk.say('say hello');
  const { offer } = await client.agents.status.query({ agentId });
  const modes = offer?.modes.map(({ id }) => id) ?? [];
  expect(modes).toEqual(['permission-profile:sandboxed', 'agent-full-access']);
  for (const mode of modes) {
    await client.conversations.configure.mutate({ conversationId, mode });
    const asked = plane.model.requests.length;
    const { run, events, printed } = await talk.say('run cat /etc/hostname > here && echo it ran');
    expect({ mode, state: run.state, printed }).toEqual({ mode, state: 'completed', printed: 'it ran\n' });
    expect(events.find(({ type }) => type === 'tool.completed')).toMatchObject({ status: 'completed', exitCode: 0 });
    expect(plane.model.requests.slice(asked).map(({ purpose }) => purpose)).toEqual(['turn', 'turn']);
  }
});

test.for(['read-only', 'workspace-write', 'agent'])(
  'the mode %s of Codex, in which no command runs in a sandbox, is refused with the reason',
  async (mode) => {
    await using talk = await Talk.open(plane.client, 'barred');
    await talk.client.conversations.configure.mutate({ conversationId: talk.conversationId, mode });
    const { run } = await talk.say(`say ${mode}`);
    expect(run).toMatchObject({ state: 'failed', reason: 'harness_error' });
    expect(run.message).toContain(`The mode "${mode}" does not work in a sandbox: `);
    expect(modelsFor(`say ${mode}`)).toEqual([]);
  },
);

test.for([{ mode: 'yolo' }, { model: 'gpt-2' }])(
  'a choice that Codex does not have fails the run before any model is asked, with a list: %j',
  async (choice) => {
    await using talk = await Talk.open(plane.client, 'unknown');
    const { client, conversationId } = talk;
    await client.conversations.configure.mutate({ conversationId, ...choice });
    const text = `say ${Object.values(choice).join('')}`;
    const { run, events } = await talk.say(text);
    expect(run).toMatchObject({ state: 'failed', reason: 'harness_error' });
    expect(run.message).toMatch(
      /^The harness has no mod(?:e "yolo": it has permission-profile:sandboxed, |el "gpt-2": it has gpt-).*\.$/,
    );
    expect(events.map(({ type }) => type)).not.toContain('run.started');
    expect(modelsFor(text)).toEqual([]);
    await client.conversations.configure.mutate({ conversationId, mode: null, model: null });
    expect((await talk.say('say better')).said).toEqual(['better']);
  },
);

test('a mode is set for the turn, also after a cancellation has closed the session, and taken back', async () => {
  await using talk = await Talk.open(plane.client, 'modes');
  const { client, conversationId } = talk;
  const choose = async (mode: string | null) => await client.conversations.configure.mutate({ conversationId, mode });
  const modes = () =>
    talk.log.events.flatMap((event) => {
      if (event.type !== 'harness.other' || event.sessionUpdate !== 'config_option_update') return [];
      return [/"id":"mode".*?"currentValue":"([^"]*)"/.exec(JSON.stringify(event.update))?.[1]];
    });
  const push = async () => {
    const runId = await talk.start('push');
    const { permissionId } = await talk.log.event(runId, 'permission.requested');
    await client.permissions.respond.mutate({ permissionId, optionId: null });
    expect((await talk.end(runId)).run).toMatchObject({ reason: 'permission_rejected' });
  };
  await push();
  await choose('agent-full-access');
  expect((await talk.say('run echo free')).printed).toBe('free\n');
  expect(modes()).toEqual(['agent-full-access']);

  const canceled = await talk.start('hold modes');
  await talk.log.event(canceled, 'message.delta');
  await client.runs.cancel.mutate({ runId: canceled });
  await talk.end(canceled);
  expect((await talk.say('run echo again')).printed).toBe('again\n');
  expect(modes().at(-1)).toBe('agent-full-access');

  await choose(null);
  expect((await talk.say('run echo asked')).printed).toBe('asked\n');
  expect(modes().at(-1)).toBe('permission-profile:sandboxed');
  await push();
  expect(talk.log.events.map(({ type }) => type)).not.toContain('session.updated');
});
