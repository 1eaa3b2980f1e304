import { expect, test } from 'vitest';
import { newPermissionId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { HandClock } from './hand-clock.ts';
import { scriptedHarness } from './running-harness.ts';

const resolvedBy = 'usr-someone';

test('an allowed permission goes on with the option that was chosen', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const runId = run.prompt('say may I\nask git push\nsay done', { permissionTimeoutMs: 60_000 });
  const requested = await run.sink.event(runId, 'permission.requested');
  expect(requested).toMatchObject({
    toolCallId: 'git push',
    title: 'git push',
    kind: 'execute',
    input: { command: 'git push' },
    options: [
      { optionId: 'yes', name: 'Yes', kind: 'allow_once' },
      { optionId: 'no', name: 'No', kind: 'reject_once' },
    ],
    expiresAt: clock.now() + 60_000,
  });
  run.harness.answerPermission(requested.permissionId, { optionId: 'yes', resolvedBy });
  expect(await run.sink.event(runId, 'permission.resolved')).toEqual({
    type: 'permission.resolved',
    permissionId: requested.permissionId,
    outcome: 'allowed',
    optionId: 'yes',
    resolvedBy,
  });
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'completed' });
  expect(run.asked('permission answer')).toEqual([{ outcome: 'selected', optionId: 'yes' }]);
  expect(run.sink.messages(runId)).toEqual(['may I', 'allowed', 'done']);
});

test.each([
  ['without an option', null],
  ['with a rejecting option', 'no'],
])('a permission refused %s ends the turn as permission_rejected', async (_how, optionId) => {
  await using run = scriptedHarness();
  const runId = run.prompt('ask git push\nsay never');
  const { permissionId } = await run.sink.event(runId, 'permission.requested');
  run.harness.answerPermission(permissionId, { optionId, resolvedBy });
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'permission_rejected' });
  expect(await run.sink.event(runId, 'permission.resolved')).toMatchObject({
    outcome: 'rejected',
    optionId,
    resolvedBy,
  });
  expect(run.asked('permission answer')).toEqual([{ outcome: 'selected', optionId: 'no' }]);
});

test('a permission that nobody answers expires, and never as allowed', async () => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const runId = run.prompt('ask git push', { permissionTimeoutMs: 60_000, idleTimeoutMs: 1_000 });
  const { permissionId } = await run.sink.event(runId, 'permission.requested');
  clock.advance(59_999);
  expect(run.sink.events(runId).map((event) => event.type)).toEqual(['permission.requested']);
  clock.advance(1);
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'permission_expired' });
  expect(await run.sink.event(runId, 'permission.resolved')).toMatchObject({ outcome: 'expired', resolvedBy: null });
  expect(run.asked('permission answer')).toEqual([{ outcome: 'cancelled' }]);
  expect(() => run.harness.answerPermission(permissionId, { optionId: 'yes', resolvedBy })).toThrowError(
    expect.objectContaining({ code: 'PERMISSION_NOT_PENDING' }),
  );
});

test('cancelling a turn cancels its open permissions before it ends', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('ask git push');
  const { permissionId } = await run.sink.event(runId, 'permission.requested');
  run.harness.cancelTurn(runId);
  expect(run.sink.events(runId).at(-1)).toMatchObject({
    type: 'permission.resolved',
    permissionId,
    outcome: 'canceled',
  });
  expect(await run.sink.outcome(runId)).toMatchObject({ state: 'canceled', reason: 'canceled_by_user' });
  expect(run.asked('permission answer')).toEqual([{ outcome: 'cancelled' }]);
});

test('the end of the agent cancels its open permissions', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('ask git push');
  await run.sink.event(runId, 'permission.requested');
  process.kill(run.agentPid(), 'SIGKILL');
  expect(await run.sink.outcome(runId)).toMatchObject({ reason: 'harness_exited' });
  expect(run.sink.events(runId).at(-1)).toMatchObject({ type: 'permission.resolved', outcome: 'canceled' });
});

test('an answer is taken once, and only with an option of the request', async () => {
  await using run = scriptedHarness();
  const runId = run.prompt('ask git push\nhang');
  const { permissionId } = await run.sink.event(runId, 'permission.requested');
  const answer = (optionId: string) => () => run.harness.answerPermission(permissionId, { optionId, resolvedBy });
  expect(answer('maybe')).toThrowError(expect.objectContaining({ code: 'BAD_REQUEST' }));
  answer('yes')();
  expect(answer('no')).toThrowError(expect.objectContaining({ code: 'PERMISSION_NOT_PENDING' }));
  expect(() => run.harness.answerPermission(newPermissionId(), { optionId: null, resolvedBy })).toThrowError(
    expect.objectContaining({ code: 'PERMISSION_NOT_PENDING' }),
  );
  await until('the answer', () => run.asked('permission answer').length === 1);
});

test.each([
  ['refused', 'rejected'],
  ['never answered', 'expired'],
  ['cancelled with its turn', 'canceled'],
] as const)('a command whose question was %s never ran, and is canceled', async (_how, outcome) => {
  const clock = new HandClock();
  await using run = scriptedHarness({ clock });
  const runId = run.prompt('tool git push\nask git push', { permissionTimeoutMs: 60_000 });
  const { permissionId } = await run.sink.event(runId, 'permission.requested');
  if (outcome === 'rejected') run.harness.answerPermission(permissionId, { optionId: 'no', resolvedBy });
  if (outcome === 'expired') clock.advance(60_000);
  if (outcome === 'canceled') run.harness.cancelTurn(runId);
  expect(await run.sink.event(runId, 'permission.resolved')).toMatchObject({ outcome });
  expect(await run.sink.event(runId, 'tool.completed')).toMatchObject({ toolCallId: 'git push', status: 'canceled' });
});
