import { expect, test } from 'vitest';
import { newConversationId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { HandClock } from './hand-clock.ts';
import { isAlive, stateOf } from './process-state.ts';
import { scriptedHarness } from './running-harness.ts';

test('an agent that exits in a turn fails it after all that it said, and the next turn resumes the session', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('say last words\ntool build\nexit 3');
  expect(await run.sink.outcome(runId)).toEqual({
    state: 'failed',
    reason: 'harness_exited',
    message: 'The harness exited with code 3 during the turn.',
  });
  expect(run.sink.events(runId).map((event) => event.type)).toEqual([
    'message.delta',
    'message.delta',
    'message.completed',
    'tool.started',
    'tool.completed',
  ]);
  expect(run.sink.events(runId).at(-1)).toMatchObject({ status: 'failed' });
  expect(run.sink.of('harness.exited')).toEqual([
    { type: 'harness.exited', exitCode: 3, signal: null, stderr: 'a last word\n' },
  ]);
  expect(run.harness.state).toBe('failed');

  expect(await run.sink.outcome(run.prompt('say back'))).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new', 'resumed']);
});

test('an agent that is killed fails the turns of all conversations once each', async () => {
  await using run = scriptedHarness();
  const turns = [0, 1].map(() => run.prompt('say on\nhang', { conversationId: newConversationId() }));
  for (const turn of turns) await run.sink.event(turn, 'message.delta');
  process.kill(run.agentPid(), 'SIGKILL');
  for (const turn of turns) {
    expect(await run.sink.outcome(turn)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
  }
  expect(run.sink.of('turn.ended')).toHaveLength(2);
});

test('an agent that closes its output is ended', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const runId = run.prompt('say bye\nclose-stdout');
  await run.sink.event(runId, 'message.delta');
  await until('the loss of the connection', () => run.harness.state === 'stopped');
  clock.advance(2_000);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
});

test('an agent that exits at its start fails the turn with its last words, and is tried again', async () => {
  await using run = scriptedHarness({ agent: { exitAtStart: 7, stderr: 'no configuration' } });
  await expect(run.harness.start()).rejects.toMatchObject({
    code: 'HARNESS_FAILED',
    message: 'The harness codex exited with code 7.',
    details: { stderr: 'no configuration' },
  });
  expect(run.harness.state).toBe('failed');
  for (const text of ['say one', 'say two']) {
    expect(await run.sink.outcome(run.prompt(text))).toMatchObject({ state: 'failed', reason: 'harness_start_failed' });
  }
  expect(run.sink.of('turn.started')).toEqual([]);
});

test('a program that is not there fails the turn', async () => {
  const command = JSON.stringify(['/nonexistent/agent']);
  await using run = scriptedHarness({ environment: { CAISSON_HARNESS_COMMAND: command } });
  expect(await run.sink.outcome(run.prompt('say hello'))).toMatchObject({
    state: 'failed',
    reason: 'harness_start_failed',
    message: 'The harness codex could not be started.',
  });
});

test('an agent that does not initialize in 30 s is killed and fails the turn', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock, agent: { neverInitialize: true } });
  const runId = run.prompt('say never');
  await until('the start', () => run.asked('initialize').length > 0);
  expect(run.harness.state).toBe('starting');
  clock.advance(30_000);
  expect(await run.sink.outcome(runId)).toMatchObject({
    state: 'failed',
    reason: 'harness_start_failed',
    message: 'The harness codex did not start within 30 s.',
  });
  expect(isAlive(run.agentPid())).toBe(false);
});

test('starting is single-flight', async () => {
  await using run = scriptedHarness();
  await Promise.all([run.harness.start(), run.harness.start(), run.harness.start()]);
  expect(run.asked('initialize')).toHaveLength(1);
  expect(run.harness.state).toBe('ready');
});

test('lines that are no messages are skipped', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('garbage not json\ngarbage [1,2]\ngarbage 42\ngarbage\nsay fine');
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed' });
  expect(run.sink.messages(runId)).toEqual(['fine']);
});

test('an agent that sends a line over 32 MiB is ended', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt(`flood 1 ${33 * 1024 * 1024}`);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
  expect(await run.sink.outcome(run.prompt('say next'))).toMatchObject({ state: 'completed' });
});

test('updates that Caisson has no word for are kept as they are, in their place', async () => {
  await using run = scriptedHarness();
  const unknown = { sessionUpdate: 'mood_update', mood: { level: 3 } };
  const broken = { sessionUpdate: 'usage_update', used: 'much' };
  const text = `say before\nupdate ${JSON.stringify(unknown)}\nupdate ${JSON.stringify(broken)}\nupdate 7\nsay after`;
  const runId = run.prompt(text);
  await run.sink.outcome(runId);
  const others = run.sink.events(runId).filter((event) => event.type === 'harness.other');
  expect(others).toEqual([
    { type: 'harness.other', sessionUpdate: 'mood_update', update: unknown },
    { type: 'harness.other', sessionUpdate: 'usage_update', update: broken },
    { type: 'harness.other', sessionUpdate: 'unnamed', update: 7 },
  ]);
  expect(run.sink.messages(runId)).toEqual(['before', 'after']);
});

test('without room in the journal the agent stops, and nothing is lost', async () => {
  await using run = scriptedHarness();
  const chunks = 20_000;
  const runId = run.prompt(`flood ${chunks} 1000`);
  await run.sink.event(runId, 'message.delta');
  run.sink.full();
  const stillAt = await until('the agent to block', async () => {
    const before = run.progress();
    return stateOf(run.agentPid()) === 'S' && (await isSteady(() => run.progress() === before)) && before;
  });
  expect(stillAt).toBeLessThan(chunks / 2);
  const seen = run.sink.events(runId).length;
  expect(await isSteady(() => run.sink.events(runId).length === seen)).toBe(true);
  expect(run.harness.turnStatus(runId).state).toBe('active');

  run.sink.empty();
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed' });
  expect(run.progress()).toBe(chunks);
  expect(run.sink.events(runId).filter((event) => event.type === 'message.delta')).toHaveLength(chunks);
});

/** Looks often, for about a quarter of a second. */
async function isSteady(look: () => boolean): Promise<boolean> {
  for (let i = 0; i < 25; i++) {
    if (!look()) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}

test('without room in the journal a turn can still be ended', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const runId = run.prompt('flood 100000 1000');
  await run.sink.event(runId, 'message.delta');
  run.sink.full();
  run.harness.cancelTurn(runId);
  clock.advance(5_000);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
});

test('a session that the agent has lost is replaced by a new one', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('say hello', { sessionId: 'a-session-of-old' });
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed' });
  expect(run.asked('session/resume')).toHaveLength(1);
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new']);
});

test('an agent that can only load repeats its transcript, which is not recorded again', async () => {
  const agent = { offers: ['load', 'close'] } as const;
  await using run = scriptedHarness({ agent: { offers: [...agent.offers] } });
  const conversationId = newConversationId();
  await run.sink.outcome(run.prompt('say one', { conversationId }));
  process.kill(run.agentPid(), 'SIGKILL');
  await until('the end of the agent', () => run.sink.of('harness.exited').length === 1);
  const next = run.prompt('say two', { conversationId });
  expect(await run.sink.outcome(next)).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new', 'loaded']);
  expect(run.sink.events(null)).toEqual([]);
  expect(run.sink.events(next).map((event) => event.type)).toEqual(['message.delta', 'message.completed']);
});

test('an agent that cannot reopen sessions keeps its session when a turn is canceled', async () => {
  await using run = scriptedHarness({ agent: { offers: ['close'] } });
  const runId = run.prompt('say on\nhang');
  await run.sink.event(runId, 'message.delta');
  run.harness.cancelTurn(runId);
  await run.sink.outcome(runId);
  await run.sink.outcome(run.prompt('say again'));
  expect(run.asked('session/close')).toEqual([]);
  expect(run.asked('session/new')).toHaveLength(1);
});

test('refusals of the agent name their reason', async () => {
  await using run = scriptedHarness();
  const reasonOf = async (text: string) => {
    const outcome = await run.sink.outcome(run.prompt(text));
    return [outcome.state, outcome.reason];
  };
  expect(await reasonOf('error -32000')).toEqual(['failed', 'model_unauthorized']);
  expect(await reasonOf('error -32603 {"codexErrorInfo":"usageLimitExceeded","message":"none left"}')).toEqual([
    'failed',
    'model_quota_exhausted',
  ]);
  expect(await reasonOf('error -32603 {"codexErrorInfo":"serverOverloaded"}')).toEqual(['failed', 'model_error']);
  expect(await reasonOf('error 1001 {"restartable":true}')).toEqual(['failed', 'harness_exited']);
  expect(await reasonOf('error -32603 "what?"')).toEqual(['failed', 'harness_error']);
  expect(await reasonOf('stop refusal')).toEqual(['completed', 'refusal']);
  expect(await reasonOf('stop max_tokens')).toEqual(['completed', 'max_tokens']);
  expect(await reasonOf('stop cancelled')).toEqual(['canceled', 'canceled_by_harness']);
  expect(await reasonOf('stop somewhere')).toEqual(['failed', 'harness_error']);
  expect(await reasonOf('error -32603 {"message":"no rollout found"}')).toEqual(['failed', 'session_lost']);
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new']);
  expect(await reasonOf('say back')).toEqual(['completed', 'end_turn']);
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new', 'resumed']);
});

test('an agent that wants credentials fails the turn as unauthorized', async () => {
  await using run = scriptedHarness({ agent: { refuseSessions: true } });
  expect(await run.sink.outcome(run.prompt('say hello'))).toMatchObject({ reason: 'model_unauthorized' });
  const session = {
    conversationId: newConversationId(),
    sessionId: null,
    cwd: '/',
    title: '',
    model: null,
    mode: null,
  };
  await expect(run.harness.openSession(session)).rejects.toMatchObject({ code: 'HARNESS_FAILED' });
});

test('a model that the session lists is chosen, any other is left to the launch', async () => {
  await using run = scriptedHarness({ model: 'launch', agent: { models: ['small', 'large'] } });
  const prompt = async (model: string) => {
    await run.sink.outcome(run.prompt('say hello', { model, conversationId: newConversationId() }));
    return run.asked('session/set_config_option').length;
  };
  expect(await prompt('small')).toBe(0);
  expect(await prompt('large')).toBe(1);
  expect(await prompt('launch')).toBe(1);
});
