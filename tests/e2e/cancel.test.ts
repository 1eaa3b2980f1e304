import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { GatedProvider } from './support/gated-provider.ts';
import { inside } from './support/inside.ts';
import { Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

const canceledByUser = { state: 'canceled', reason: 'canceled_by_user', cancelRequested: true };

async function expectNextAnswered(talk: Talk): Promise<void> {
  expect((await talk.say('say next')).said).toEqual(['next']);
}

/** Whether a process runs in the sandbox that sleeps so long, or is to. Each test has numbers of its own. */
const sleeps = async (talk: Talk, seconds: number): Promise<boolean> =>
  (await inside(plane.provider, talk.agentId, `exec pgrep -f "sleep ${seconds}"`)).exitCode === 0;

describe('canceling a run', () => {
  test('while a command runs ends the command and all that it started', async () => {
    await using talk = await Talk.open(plane.client, 'command');
    const runId = await talk.start('run sh -c "sleep 3001 & sleep 3002 & sleep 3003"');
    await talk.log.event(runId, 'tool.started');
    await until('the command', () => sleeps(talk, 3003));
    await talk.client.runs.cancel.mutate({ runId });
    const { run, events } = await talk.end(runId);
    expect(run).toMatchObject(canceledByUser);
    for (const seconds of [3001, 3002, 3003]) expect(await sleeps(talk, seconds), String(seconds)).toBe(false);
    expect(events.find(({ type }) => type === 'tool.completed')).toMatchObject({ status: 'canceled' });
    expect(events.filter(({ type }) => type === 'run.cancel_requested')).toMatchObject([{ by: run.startedBy }]);
    await expectNextAnswered(talk);
    expect(plane.model.requests.at(-1)?.transcript[0]?.text).toContain('sleep 3001'); // the same session goes on
  });

  test('does not end a command that detached itself; that one ends with its sandbox', async () => {
    await using talk = await Talk.open(plane.client, 'detached');
    const runId = await talk.start('run sh -c "setsid nohup sleep 3021 >/dev/null 2>&1 & sleep 3022"');
    await until('both commands', async () => (await sleeps(talk, 3021)) && (await sleeps(talk, 3022)));
    await talk.client.runs.cancel.mutate({ runId });
    expect((await talk.end(runId)).run).toMatchObject(canceledByUser);
    expect([await sleeps(talk, 3021), await sleeps(talk, 3022)]).toEqual([true, false]);
    await plane.provider.stop(talk.agentId);
    await expectNextAnswered(talk);
    expect(await sleeps(talk, 3021)).toBe(false);
  });

  test('ends the command of one conversation and leaves that of another alone', async () => {
    await using talk = await Talk.open(plane.client, 'neighbours');
    const other = await talk.openConversation();
    const [goes, stays] = [
      await talk.start('run sleep 3011'),
      await talk.start('run sleep 3012', { conversationId: other }),
    ];
    await until('both commands', async () => (await sleeps(talk, 3011)) && (await sleeps(talk, 3012)));
    await talk.client.runs.cancel.mutate({ runId: goes });
    expect((await talk.end(goes)).run).toMatchObject(canceledByUser);
    expect(await sleeps(talk, 3011)).toBe(false);
    expect(await sleeps(talk, 3012)).toBe(true);
    expect((await talk.client.runs.get.query({ runId: stays })).state).toBe('running');
    await talk.client.runs.cancel.mutate({ runId: stays });
    expect((await talk.end(stays)).run).toMatchObject(canceledByUser);
  });

  test('while the model speaks ends its request and takes the half answer back', async () => {
    await using talk = await Talk.open(plane.client, 'streaming');
    const runId = await talk.start('hold never');
    await talk.log.event(runId, 'message.delta');
    await talk.client.runs.cancel.mutate({ runId });
    const { run, said, events } = await talk.end(runId);
    expect(run).toMatchObject(canceledByUser);
    expect(said).toEqual([]);
    expect(events.filter(({ type }) => type === 'message.discarded')).toMatchObject([{ reason: 'turn_ended' }]);
    await plane.model.waitForRequest(({ userText, outcome }) => userText === 'hold never' && outcome === 'aborted');
    await expectNextAnswered(talk);
  });

  test('that is queued ends it at once; the others keep their order', async () => {
    await using talk = await Talk.open(plane.client, 'queued');
    const first = await talk.start('hold queue');
    await talk.log.event(first, 'message.delta');
    const [second, third] = [await talk.start('say second'), await talk.start('say third')];
    expect(await talk.client.runs.cancel.mutate({ runId: second })).toMatchObject(canceledByUser);
    expect((await talk.end(second)).run.startedAt).toBeNull();
    plane.model.openGate('queue');
    expect((await talk.end(first)).said).toEqual(['before after']);
    expect((await talk.end(third)).said).toEqual(['third']);
    expect(plane.model.requests.some(({ userText }) => userText === 'say second')).toBe(false);
  });

  test('twice is no error; a run that is over refuses', async () => {
    await using talk = await Talk.open(plane.client, 'twice');
    const runId = await talk.start('run sleep 3021');
    await until('the command', () => sleeps(talk, 3021));
    const cancel = () => talk.client.runs.cancel.mutate({ runId });
    await Promise.all([cancel(), cancel()]);
    const { events } = await talk.end(runId);
    expect(events.filter(({ type }) => type === 'run.cancel_requested')).toHaveLength(1);
    await expect(cancel()).rejects.toMatchObject({ code: 'RUN_ENDED' });
    await expectNextAnswered(talk);
  });
});

test('a run that is canceled while its sandbox starts never asks the model; the next one has the sandbox', async () => {
  let gate: GatedProvider | undefined;
  await using gated = await startTestControlPlane({}, { wrapProvider: (real) => (gate = new GatedProvider(real)) });
  await using talk = await Talk.open(gated.client, 'starting', { wait: false });
  const runId = await talk.start('say never');
  await talk.log.event(runId, 'run.starting');
  await talk.client.runs.cancel.mutate({ runId });
  expect((await talk.end(runId)).run).toMatchObject({ ...canceledByUser, startedAt: null, incarnation: null });
  gate?.open();
  await expectNextAnswered(talk);
  expect(gated.model.requests.map(({ userText }) => userText)).toEqual(['say next']);
});

describe('a run that takes too long', () => {
  test('is ended with its command when its time is up', async () => {
    await using talk = await Talk.open(plane.client, 'time-out');
    const { run, events } = await talk.say('run sleep 3031', { timeoutMs: 5_000 });
    expect(run).toMatchObject({ state: 'timed_out', reason: 'run_timeout', message: expect.stringContaining('5 s') });
    expect(await sleeps(talk, 3031)).toBe(false);
    expect(events.find(({ type }) => type === 'tool.completed')).toMatchObject({ status: 'canceled' });
    await expectNextAnswered(talk);
  });

  test('in which the model falls silent is ended when its patience is over, and not while a command runs', async () => {
    await using hasty = await startTestControlPlane({ CAISSON_IDLE_TIMEOUT: '3s' });
    await using talk = await Talk.open(hasty.client, 'idle');
    const sayApart = async (message: string) =>
      await talk.say(message, { conversationId: await talk.openConversation() });
    const patient = sayApart('run sleep 5');
    for (const silent of await Promise.all(['hang', 'silence', 'hold never'].map(sayApart))) {
      expect(silent.run).toMatchObject({ state: 'timed_out', reason: 'harness_idle' });
      expect(silent.said).toEqual([]);
    }
    for (const message of ['hang', 'silence', 'hold never']) {
      await hasty.model.waitForRequest(({ userText, outcome }) => userText === message && outcome === 'aborted');
    }
    expect((await patient).run.state).toBe('completed');
    await expectNextAnswered(talk);
  });
});
