import { expect, test } from 'vitest';
import { newConversationId, newRunId } from '../../src/kernel/ids.ts';
import { isAlive } from './process-state.ts';
import { scriptedHarness } from './running-harness.ts';
import { until } from '../until.ts';
import { HandClock } from './hand-clock.ts';

test('a turn opens its session, says what the agent says, and ends once', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('think hard about it\nsay hello there\ntool ls\ntool-end ls\nsay bye');
  expect(await run.sink.outcome(runId)).toEqual({ state: 'completed', reason: 'end_turn', usage: null });
  expect(run.sink.bodies.map((body) => (body.type === 'event' ? body.event.type : body.type))).toEqual([
    'harness.started',
    'session.opened',
    'turn.started',
    ...Array.from({ length: 3 }, () => 'thought.delta'),
    ...Array.from({ length: 2 }, () => 'message.delta'),
    'message.completed',
    'tool.started',
    'tool.completed',
    'message.delta',
    'message.completed',
    'turn.ended',
  ]);
  expect(run.sink.messages(runId)).toEqual(['hello there', 'bye']);
  expect(run.harness.turnStatus(runId).state).toBe('ended');
});

test('a session gets its title before its first prompt, and is used again', async () => {
  await using run = scriptedHarness();
  await run.sink.outcome(run.prompt('say one'));
  await run.sink.outcome(run.prompt('say two'));
  expect(run.asked('session/set_title')).toHaveLength(1);
  expect(run.asked('session/new')).toHaveLength(1);
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new']);
});

test('starting the same run twice starts one turn, also after it ended', async () => {
  await using run = scriptedHarness();
  const runId = newRunId();
  const request = {
    session: {
      conversationId: newConversationId(),
      sessionId: null,
      cwd: run.directory,
      title: '',
      model: null,
      mode: null,
    },
    content: [{ type: 'text' as const, text: 'say once' }],
    timeoutMs: 60_000,
    idleTimeoutMs: 60_000,
    permissionTimeoutMs: 60_000,
  };
  expect(run.harness.turnStatus(runId).state).toBe('unknown');
  expect(run.harness.startTurn(runId, request).state).toBe('active');
  expect(run.harness.startTurn(runId, request).state).toBe('active');
  await run.sink.outcome(runId);
  expect(run.harness.startTurn(runId, request).state).toBe('ended');
  expect(run.asked('session/prompt')).toHaveLength(1);
});

test('a second turn of a conversation is refused while the first runs', async () => {
  await using run = scriptedHarness();
  await run.sink.started(run.prompt('hang'));
  expect(() => run.prompt('say no')).toThrowError(/may not start/);
});

test('two conversations run side by side', async () => {
  await using run = scriptedHarness();
  const first = run.prompt('hang', { conversationId: newConversationId() });
  const second = run.prompt('say hello', { conversationId: newConversationId() });
  expect(await run.sink.outcome(second)).toMatchObject({ state: 'completed' });
  expect(run.harness.turnStatus(first).state).toBe('active');
});

test('a canceled turn ends as canceled, its commands die, and the next turn resumes the session', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('leave-running\nsay working\nhang');
  await run.sink.event(runId, 'message.delta');
  const [child] = run.asked('child') as { pid: number }[];
  expect(run.harness.cancelTurn(runId).state).toBe('active');
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
  expect(run.sink.events(runId).at(-1)).toMatchObject({ type: 'message.discarded', reason: 'turn_ended' });
  await until('the end of the command', () => !isAlive(child?.pid ?? 0));
  expect(run.harness.cancelTurn(runId).state).toBe('ended');

  const next = run.prompt('say again');
  expect(await run.sink.outcome(next)).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new', 'resumed']);
  expect(run.sink.of('harness.exited')).toEqual([]);
});

test('a turn whose work was done when the cancellation arrived is completed', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('say done\nfinish-when-canceled');
  await run.sink.event(runId, 'message.delta');
  run.harness.cancelTurn(runId);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed', reason: 'end_turn' });
  expect(run.sink.messages(runId)).toEqual(['done']);
});

test('a turn that is canceled while its session opens ends at once and asks nothing', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('say never');
  run.harness.cancelTurn(runId);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
  expect(await run.sink.outcome(run.prompt('say next'))).toMatchObject({ state: 'completed' });
  expect(run.asked('session/prompt')).toHaveLength(1);
  expect(run.sink.of('turn.started')).toHaveLength(1);
});

test('an agent that ignores a cancellation is killed with its commands after the grace', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const other = run.prompt('hang', { conversationId: newConversationId() });
  await run.sink.started(other);
  const runId = run.prompt('leave-running\nsay working\nignore-cancel');
  await run.sink.event(runId, 'message.delta');
  const [child] = run.asked('child') as { pid: number }[];
  run.harness.cancelTurn(runId);
  await until('the cancellation', () => run.asked('session/cancel').length > 0);
  clock.advance(5_000);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
  expect(await run.sink.outcome(other)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
  await until('the end of the command', () => !isAlive(child?.pid ?? 0));
  expect(run.sink.of('harness.exited')).toMatchObject([{ signal: 'SIGKILL' }]);

  expect(await run.sink.outcome(run.prompt('say next'))).toMatchObject({ state: 'completed' });
  expect(run.sink.of('session.opened').map(({ how }) => how)).toEqual(['new', 'new', 'resumed']);
});

test('an agent that does not close a session in time is killed', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock, agent: { hangOnClose: true } });
  const runId = run.prompt('say working\nhang');
  await run.sink.event(runId, 'message.delta');
  run.harness.cancelTurn(runId);
  await until('the closing', () => run.asked('session/close').length > 0);
  expect(run.harness.turnStatus(runId).state).toBe('active');
  clock.advance(3_000);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled' });
  await until('the end of the agent', () => run.sink.of('harness.exited').length === 1);
});

test('a turn over its time ends as timed out, whatever the agent makes of it', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const runId = run.prompt('say working\nfinish-when-canceled', { timeoutMs: 90_000 });
  await run.sink.event(runId, 'message.delta');
  clock.advance(90_000);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'timed_out', reason: 'run_timeout' });
  expect(run.sink.messages(runId)).toEqual([]);
});

test('a silent agent ends as idle, but not while a tool runs', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const limits = { idleTimeoutMs: 60_000, timeoutMs: 100_000_000 };
  const busy = run.prompt('tool build\nhang', { ...limits, conversationId: newConversationId() });
  await run.sink.event(busy, 'tool.started');
  const silent = run.prompt('say working\nhang', { ...limits, conversationId: newConversationId() });
  await run.sink.event(silent, 'message.delta');
  clock.advance(60_000);
  expect(await run.sink.outcome(silent)).toMatchObject({ state: 'timed_out', reason: 'harness_idle' });
  clock.advance(600_000);
  expect(run.harness.turnStatus(busy).state).toBe('active');
});

test('tools that are open when a turn is canceled are canceled', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('tool build\nhang');
  await run.sink.event(runId, 'tool.started');
  run.harness.cancelTurn(runId);
  await run.sink.outcome(runId);
  expect(run.sink.events(runId).at(-1)).toMatchObject({ type: 'tool.completed', status: 'canceled' });
});

test('what the agent says between turns belongs to no run', async () => {
  await using run = scriptedHarness();
  await run.sink.outcome(run.prompt('afterwards late words'));
  await run.sink.event(null, 'message.delta');
  const next = run.prompt('say next');
  await run.sink.outcome(next);
  expect(run.sink.messages(null)).toEqual(['late words']);
  expect(run.sink.messages(next)).toEqual(['next']);
});

test('closing a session ends its turn and forgets it', async () => {
  await using run = scriptedHarness();
  const conversationId = newConversationId();
  const runId = run.prompt('hang', { conversationId });
  await run.sink.started(runId);
  await run.harness.closeSession(conversationId);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled' });
  await run.harness.closeSession(newConversationId());
});

test('stopping ends every turn as harness_exited; the next need starts the agent again', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('hang');
  await run.sink.started(runId);
  const pid = run.agentPid();
  await run.harness.stop();
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
  expect(run.harness.state).toBe('stopped');
  expect(isAlive(pid)).toBe(false);
  expect(await run.sink.outcome(run.prompt('say next'))).toMatchObject({ state: 'completed' });
});

test('stopping while the agent starts ends the turn that waits for it', async () => {
  await using run = scriptedHarness({ agent: { neverInitialize: true } });
  const runId = run.prompt('say never');
  await until('the start', () => run.asked('initialize').length > 0);
  await run.harness.stop();
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
  expect(isAlive(run.agentPid())).toBe(false);
});
