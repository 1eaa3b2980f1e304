import { expect, test } from 'vitest';
import type { SandboxObserver } from '../../../src/agents/ports.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { newMessageId } from '../../../src/kernel/ids.ts';
import { type LogFields, silentLogger } from '../../../src/kernel/logger.ts';
import { until } from '../../until.ts';
import { openFleet } from './fleet-fixture.ts';

test('a cancellation that meets a breaking wire arrives by the next one', async () => {
  await using fixture = await openFleet();
  const { conversation } = await fixture.newTalk();
  const runId = await fixture.running(conversation);
  const { startedBy } = await fixture.domain.runs.get(runId);
  fixture.provider.cut();
  await fixture.domain.runs.cancel(runId, startedBy);
  expect(await fixture.domain.runs.wait(runId, AbortSignal.timeout(10_000))).toMatchObject({ state: 'canceled' });
});

test('a guest whose wire is known to be broken is not handed out', async () => {
  await using fixture = await openFleet();
  const { agent } = await fixture.newTalk();
  const before = fixture.fleet.currentGuest(agent.id);
  fixture.provider.cut();
  await until('the break is known', () => fixture.fleet.currentGuest(agent.id) !== before);
  const after = await fixture.fleet.reattach(agent);
  expect(after).not.toBe(before);
  expect(after?.incarnation).toBe(before?.incarnation);
});

test('a message that comes while the sandbox is being stopped gets the next one', async () => {
  await using fixture = await openFleet();
  const { agent, conversation } = await fixture.newTalk();
  const stopping = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  fixture.provider.beforeStop = async () => {
    stopping.resolve();
    await goOn.promise;
  };
  const stopped = fixture.fleet.stop(agent.id, 'a test');
  await stopping.promise;
  const runId = await fixture.start(conversation);
  await until('the run waits', async () => (await fixture.domain.runs.get(runId)).state === 'starting');
  fixture.provider.beforeStop = async () => undefined;
  goOn.resolve();
  await stopped;
  await until('the new guest has it', async () => (await fixture.domain.runs.get(runId)).state === 'running');
  expect(fixture.harness(agent).turns.has(runId)).toBe(true);
});

test('a sandbox that is replaced while its run is being fenced does not leave the run starting for ever', async () => {
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let hold = true;
  await using fixture = await openFleet({
    mayRun: async () => {
      if (hold) {
        asked.resolve();
        await goOn.promise;
      }
      return true;
    },
  });
  const { agent, conversation } = await fixture.newTalk();
  const runId = await fixture.start(conversation);
  await asked.promise;
  hold = false;
  await fixture.fleet.stop(agent.id, 'a test');
  await fixture.fleet.ensureGuest(agent);
  goOn.resolve();
  await until('the new guest has it', async () => (await fixture.domain.runs.get(runId)).state === 'running');
  expect(fixture.harness(agent).turns.has(runId)).toBe(true);
});

test('a guest that completes a message twice breaks the contract: its sandbox is stopped, its run interrupted', async () => {
  await using fixture = await openFleet();
  const { agent, conversation } = await fixture.newTalk();
  const runId = await fixture.running(conversation);
  const event = {
    type: 'message.completed',
    messageId: newMessageId(),
    content: [{ type: 'text', text: 'again' }],
  } as const;
  const { sink } = fixture.harness(agent);
  for (let i = 0; i < 2; i++) {
    sink.append({
      type: 'event',
      conversationId: conversation.id,
      runId,
      event: { ...event, content: [...event.content] },
    });
  }
  expect(await fixture.domain.runs.wait(runId, AbortSignal.timeout(10_000))).toMatchObject({ state: 'interrupted' });
  expect(fixture.provider.stopped).toEqual([agent.id]);
});

test('a store that fails for minutes holds the harness back, breaks no wire, stops no sandbox, and the run goes on', async () => {
  let isFull = false;
  let refused = 0;
  let skew = 0;
  const observe = (real: SandboxObserver): SandboxObserver => ({
    applyJournal: async (...args) => {
      if (isFull) {
        refused++;
        throw full();
      }
      await real.applyJournal(...args);
    },
    sandboxAttached: async (...args) => {
      if (isFull) throw full();
      return await real.sandboxAttached(...args);
    },
    sandboxLost: (...args) => real.sandboxLost(...args),
    sandboxStarting: (...args) => real.sandboxStarting(...args),
    sandboxFailed: (...args) => real.sandboxFailed(...args),
    flushed: () => real.flushed(),
  });
  const full = () => new CaissonError('STORAGE_UNAVAILABLE', 'The disk is full.');
  await using fixture = await openFleet({
    observe,
    clock: {
      now: () => Date.now() + skew,
      elapsed: () => performance.now() + skew,
      schedule: (ms, callback) => systemClock.schedule(ms, callback),
    },
  });
  const { agent, conversation } = await fixture.newTalk();
  const runId = await fixture.running(conversation);
  isFull = true;
  const at = { conversationId: conversation.id, runId };
  const { sink } = fixture.harness(agent);
  sink.append({ type: 'event', ...at, event: { type: 'usage.updated', used: 1, size: 2 } });
  await until('the store was asked in vain', () => refused > 2);
  expect(fixture.fleet.currentGuest(agent.id)).toBeDefined();
  fixture.provider.cut();
  await until('the break is known', () => fixture.fleet.currentGuest(agent.id) === undefined);
  skew = 120_000;
  const { connects } = fixture.provider;
  await until('it is looked for some more', () => fixture.provider.connects > connects + 4);
  isFull = false;
  sink.append({ type: 'turn.ended', ...at, outcome: { state: 'completed', reason: 'end_turn', usage: null } });
  expect(await fixture.domain.runs.wait(runId, AbortSignal.timeout(15_000))).toMatchObject({ state: 'completed' });
  expect(fixture.provider.stopped).toEqual([]);
});

test('a fleet that is closed attaches to nothing more', async () => {
  await using fixture = await openFleet();
  const { agent } = await fixture.newTalk();
  await fixture.fleet[Symbol.asyncDispose]();
  const { connects } = fixture.provider;
  await expect(fixture.fleet.ensureGuest(agent)).rejects.toMatchObject({ code: 'DRAINING' });
  await fixture.fleet.start(async () => [agent]);
  expect(fixture.provider.connects).toBe(connects);
  expect(fixture.provider.stopped).toEqual([]);
});

test('a guest that breaks its wire again and again is warned of once a minute, with the number of breaks', async () => {
  let skew = 0;
  const warned: unknown[] = [];
  let breaks = 0;
  const hear = (fields: LogFields, message: string, isWarning: boolean): void => {
    if (!message.startsWith('the wire broke')) return;
    breaks++;
    if (isWarning) warned.push(fields['breaks']);
  };
  await using fixture = await openFleet({
    clock: {
      now: () => Date.now() + skew,
      elapsed: () => performance.now() + skew,
      schedule: (ms, callback) => systemClock.schedule(ms, callback),
    },
    logger: {
      ...silentLogger,
      debug: (fields, message) => hear(fields, message, false),
      warn: (fields, message) => hear(fields, message, true),
    },
  });
  const { agent } = await fixture.newTalk();
  const breakWire = async (): Promise<void> => {
    await until('it is attached', () => fixture.fleet.currentGuest(agent.id) !== undefined);
    const before = breaks;
    fixture.provider.cut();
    await until('the break is noticed', () => breaks > before);
  };
  for (let i = 0; i < 4; i++) await breakWire();
  expect(warned).toEqual([1]);
  skew = 120_000;
  await breakWire();
  expect(warned).toEqual([1, 4]);
});

test('the session of a conversation that was closed under a run is freed when the run is over', async () => {
  await using fixture = await openFleet();
  const { agent, conversation } = await fixture.newTalk();
  const runId = await fixture.running(conversation);
  const { startedBy } = await fixture.domain.runs.get(runId);
  await fixture.domain.conversations.close(conversation.id, startedBy);
  await until('the session is closed', () => fixture.harness(agent).closed.includes(conversation.id));
});
