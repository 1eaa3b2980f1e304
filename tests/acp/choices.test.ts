import { expect, test } from 'vitest';
import { newConversationId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { scriptedHarness, type RunningHarness } from './running-harness.ts';

/** One without traits: all that it offers can be chosen. */
const profile = 'scripted';
const modes = ['ask', 'plan'];
const models = ['small', 'large'];

/** What the agent was asked to set, in order. */
function settings(run: RunningHarness): unknown[] {
  return ['session/set_config_option', 'session/set_mode', 'session/set_model'].flatMap((method) =>
    run.asked(method).map((params) => {
      const { configId, value, modeId, modelId } = params as Record<string, string>;
      return [configId ?? (modeId === undefined ? 'model' : 'mode'), value ?? modeId ?? modelId];
    }),
  );
}

test.for([
  ['config', 'config options', 'the-mode', 'the-model'],
  ['methods', 'modes and models', 'mode', 'model'],
] as const)(
  'a session of an agent with %s tells what there is, and gets what is wanted before its next prompt',
  async ([choicesBy, , mode, model]) => {
    await using run = scriptedHarness({ profile, agent: { modes, models, choicesBy } });
    await run.sink.outcome(run.prompt('say one'));
    const names = (ids: readonly string[]) => ids.map((id) => ({ id, name: id.toUpperCase() }));
    const offer = { modes: names(modes), models: names(models), mode: 'ask', model: 'small' };
    expect(run.sink.of('session.opened')).toMatchObject([{ how: 'new', ...offer }]);
    expect(settings(run)).toEqual([]);

    await run.sink.outcome(run.prompt('say two', { mode: 'plan', model: 'large' }));
    const changes = new Set([JSON.stringify([model, 'large']), JSON.stringify([mode, 'plan'])]);
    expect(new Set(settings(run).map((each) => JSON.stringify(each)))).toEqual(changes);
    await run.sink.outcome(run.prompt('say three', { mode: 'plan', model: 'large' }));
    expect(settings(run)).toHaveLength(2);

    await run.sink.outcome(run.prompt('say four'));
    expect(settings(run)).toHaveLength(4);
    expect(settings(run)).toEqual(
      expect.arrayContaining([
        [model, 'small'],
        [mode, 'ask'],
      ]),
    );
    expect(run.sink.events(null).map(({ type }) => type)).not.toContain('session.updated');
  },
);

test('a session that is opened with choices has them before its first prompt', async () => {
  await using run = scriptedHarness({ profile, agent: { modes, models } });
  const conversationId = newConversationId();
  const session = { conversationId, sessionId: null, cwd: '/', title: '', model: 'large', mode: 'plan' };
  await run.harness.openSession(session);
  expect(settings(run)).toEqual([
    ['the-model', 'large'],
    ['the-mode', 'plan'],
  ]);
  await run.sink.outcome(run.prompt('say one', { conversationId, mode: 'plan', model: 'large' }));
  expect(settings(run)).toHaveLength(2);
});

const wayOut = 'Set another with `conversations.configure`, or open a new conversation.';

test.for([
  [{ mode: 'auto' }, `The harness has no mode "auto": it has ask, plan. ${wayOut}`],
  [{ model: 'huge' }, `The harness has no model "huge": it has small, large. ${wayOut}`],
] as const)('a choice that the agent does not have fails the turn before its prompt: %j', async ([choice, message]) => {
  await using run = scriptedHarness({ profile, agent: { modes, models } });
  const runId = run.prompt('say never', { mode: 'plan', model: 'large', ...choice });
  expect(await run.sink.outcome(runId)).toEqual({ state: 'failed', reason: 'harness_error', message });
  expect(run.asked('session/prompt')).toEqual([]);
  expect(settings(run)).toEqual([]);
  expect(run.sink.of('session.opened')).toHaveLength(1);
  expect(await run.sink.outcome(run.prompt('say next', { mode: 'plan' }))).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened')).toHaveLength(1);
});

test('an agent that lets nobody choose says so; one that refuses a choice is quoted, and asked again the next time', async () => {
  await using none = scriptedHarness({ profile });
  expect(await none.sink.outcome(none.prompt('say never', { mode: 'plan' }))).toMatchObject({
    reason: 'harness_error',
    message: `The harness has no mode "plan": it lets nobody choose a mode. ${wayOut}`,
  });
  await using run = scriptedHarness({ profile, agent: { modes: [...modes, 'forbidden'] } });
  for (const times of [1, 2]) {
    expect(await run.sink.outcome(run.prompt('say never', { mode: 'forbidden' }))).toMatchObject({
      reason: 'harness_error',
      message: 'The harness refused the mode "forbidden": Invalid params',
    });
    expect(settings(run)).toHaveLength(times);
  }
  expect(run.asked('session/prompt')).toEqual([]);
});

test('choices hold when a session is resumed, and what was chosen is not taken for what it began with', async () => {
  await using run = scriptedHarness({ profile, agent: { modes, models } });
  await run.sink.outcome(run.prompt('say one', { mode: 'plan' }));
  const canceled = run.prompt('say two\nhang', { mode: 'plan' });
  await run.sink.event(canceled, 'message.delta');
  run.harness.cancelTurn(canceled);
  await run.sink.outcome(canceled);
  await run.sink.outcome(run.prompt('say three', { mode: 'plan' }));
  expect(run.sink.of('session.opened').map(({ how, mode }) => [how, mode])).toEqual([
    ['new', 'ask'],
    ['resumed', 'ask'],
  ]);
  expect(settings(run)).toEqual([
    ['the-mode', 'plan'],
    ['the-mode', 'plan'],
  ]);
});

test('a mode that the agent goes over to by itself is told; its echo of what it was asked is not', async () => {
  await using run = scriptedHarness({ profile, agent: { modes, choicesBy: 'methods' } });
  const update = (currentModeId: string) =>
    `update ${JSON.stringify({ sessionUpdate: 'current_mode_update', currentModeId })}`;
  const runId = run.prompt(`${update('plan')}\n${update('plan')}`);
  await run.sink.outcome(runId);
  expect(run.sink.events(runId).map((event) => ('mode' in event ? event.mode : event.type))).toEqual([
    'plan',
    'harness.other',
  ]);
  await run.sink.outcome(run.prompt('say next', { mode: 'ask' }));
  await until('the echo', () => run.sink.events(null).some(({ type }) => type === 'harness.other'));
  expect(settings(run)).toEqual([['mode', 'ask']]);
  expect(run.sink.events(null).map(({ type }) => type)).toEqual(['harness.other']);
});

test('a model that the agent was started with and does not list comes back when none is chosen', async () => {
  await using run = scriptedHarness({ profile, model: 'own', agent: { models, ownModel: 'own' } });
  const prompt = async (model: string | null) => {
    const runId = run.prompt('say hello', { model });
    expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed' });
  };
  await prompt('own');
  await prompt('large');
  expect(settings(run)).toEqual([['the-model', 'large']]);
  await prompt(null);
  expect(settings(run)).toHaveLength(1);
  expect(run.sink.of('session.opened')).toMatchObject([
    { how: 'new', model: 'own' },
    { how: 'resumed', model: 'own', models: [{ id: 'own' }, { id: 'small' }, { id: 'large' }] },
  ]);
  await prompt('small');
  expect(settings(run)).toHaveLength(2);
});

test('of many choices the first hundred are told, and more can be chosen', async () => {
  const many = Array.from({ length: 300 }, (_, index) => `model-${index}`);
  await using run = scriptedHarness({ profile, agent: { models: [...many, 'x'.repeat(201)] } });
  expect(await run.sink.outcome(run.prompt('say hello', { model: 'model-299' }))).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened')[0]?.models.map(({ id }) => id)).toEqual(many.slice(0, 100));
  const { message } = (await run.sink.outcome(run.prompt('say no', { model: 'none' }))) as { message: string };
  expect(message).toMatch(/^The harness has no model "none": it has model-0, .*, model-49 and 250 more\. /);
});

const codexModes = ['read-only', 'workspace-write', 'agent', 'permission-profile:sandboxed', 'agent-full-access'];
const worksInASandbox = ['permission-profile:sandboxed', 'agent-full-access'];

test.for(['config', 'methods'] as const)(
  'of the modes of Codex those are offered that work in a sandbox; the others are refused with the reason (%s)',
  async (choicesBy) => {
    await using run = scriptedHarness({ agent: { modes: codexModes, choicesBy } });
    for (const mode of ['agent', 'read-only']) {
      expect(await run.sink.outcome(run.prompt('say never', { mode }))).toEqual({
        state: 'failed',
        reason: 'harness_error',
        message: `The mode "${mode}" does not work in a sandbox: it puts every command into a sandbox of the harness’s own, which cannot be made in this one. There are: ${worksInASandbox.join(', ')}. ${wayOut}`,
      });
    }
    expect(run.asked('session/prompt')).toEqual([]);
    const [opened] = run.sink.of('session.opened');
    expect(opened?.modes.map(({ id }) => id)).toEqual(worksInASandbox);
    expect(await run.sink.outcome(run.prompt('say one', { mode: 'agent-full-access' }))).toMatchObject({
      state: 'completed',
    });
    expect(settings(run).map((each) => (each as unknown[])[1])).toEqual(['agent-full-access']);
  },
);

test('a session that opens in a mode that does not work in a sandbox is put into one that does', async () => {
  await using run = scriptedHarness({ agent: { modes: codexModes } });
  await run.sink.outcome(run.prompt('say one'));
  expect(run.sink.of('session.opened')).toMatchObject([{ mode: 'permission-profile:sandboxed' }]);
  expect(settings(run)).toEqual([['the-mode', 'permission-profile:sandboxed']]);
});
