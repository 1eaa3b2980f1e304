import { beforeEach, describe, expect, test } from 'vitest';
import type { SandboxObserver } from '../../../src/agents/ports.ts';
import { KnownSandboxes } from '../../../src/controlplane/admin/known-sandboxes.ts';
import { type Clock, systemClock } from '../../../src/kernel/clock.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { newMessageId } from '../../../src/kernel/ids.ts';
import { type LogFields, silentLogger } from '../../../src/kernel/logger.ts';
import { until } from '../../until.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';
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

test('a channel that is reset before all are attached, as by a guest that is killed, costs another try and not the process', async () => {
  const unheard: string[] = [];
  let attempts = 0;
  await using fixture = await openFleet({
    observe: (real) => ({
      applyJournal: (...args) => real.applyJournal(...args),
      flushed: () => real.flushed(),
      sandboxLost: (...args) => real.sandboxLost(...args),
      sandboxStarting: (...args) => real.sandboxStarting(...args),
      sandboxFailed: (...args) => real.sandboxFailed(...args),
      sandboxAttached: async (...args) => {
        if (++attempts > 1) return await real.sandboxAttached(...args);
        const waiting = fixture.provider.sockets.filter(({ channel }) => channel !== 'inward');
        for (const { channel, socket } of waiting) {
          if (socket.listenerCount('error') === 0) unheard.push(channel);
          socket.destroy(new Error('read ECONNRESET'));
        }
        return await real.sandboxAttached(...args);
      },
    }),
  });
  const { agent } = await fixture.newTalk();
  await until('the next attempt', () => attempts > 1 && fixture.fleet.currentGuest(agent.id) !== undefined);
  expect(unheard).toEqual([]);
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

test('a message that comes while the sandbox is being removed with its files gets a new one', async () => {
  await using fixture = await openFleet();
  const { fleet, provider, storage } = fixture;
  const { agent, conversation } = await fixture.newTalk();
  const known = new KnownSandboxes({
    provider,
    agents: storage.agents,
    identities: storage.identities,
    disks: {
      view: () => ({ state: 'unknown', usedBytes: null, limitBytes: null, method: null, measuredAt: null }),
      measureAgain: async () => undefined,
    },
    stop: (agentId, reason) => fleet.stop(agentId, reason),
    remove: (agentId, reason) => fleet.remove(agentId, reason),
  });
  const order: string[] = [];
  const [destroy, bringUp] = [provider.destroy.bind(provider), provider.ensureRunning.bind(provider)];
  const removing = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  provider.destroy = async (agentId) => {
    removing.resolve();
    await goOn.promise;
    await destroy(agentId);
    order.push('removed');
  };
  provider.ensureRunning = async (spec) => {
    order.push('brought up');
    goOn.resolve(); // in the middle of the removal: the new one would go with the old
    return await bringUp(spec);
  };
  const removed = known.destroy(agent.id, 'ada');
  await removing.promise;
  const runId = await fixture.start(conversation);
  await until('the run waits', async () => (await fixture.domain.runs.get(runId)).state === 'starting');
  for (let turn = 0; turn < 100; turn++) await new Promise((next) => setImmediate(next));
  goOn.resolve();
  expect(await removed).toBe(true);
  await until('the new guest has it', async () => (await fixture.domain.runs.get(runId)).state === 'running');
  expect(order).toEqual(['removed', 'brought up']);
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

/** Waits between attempts are cut short; the time of runs is not. */
const soon = (ms: number): number => (ms > 5_000 ? ms : Math.min(ms, 20));

describe('while an engine that has gone keeps it unknown whether a sandbox lives', () => {
  const gone = () => new CaissonError('PROVIDER_UNAVAILABLE', 'The engine has gone.');
  let skew = 0;
  const warned: unknown[] = [];
  let faults = 0;
  const hear = (fields: LogFields, message: string, isWarning: boolean): void => {
    if (fields['code'] !== 'PROVIDER_UNAVAILABLE' && fields['code'] !== 'STORAGE_UNAVAILABLE') return;
    faults++;
    if (isWarning) warned.push(message);
  };
  const overrides = {
    clock: {
      now: () => Date.now() + skew,
      elapsed: () => performance.now() + skew,
      schedule: (ms: number, callback: () => void) => systemClock.schedule(soon(ms), callback),
    },
    logger: {
      ...silentLogger,
      debug: (fields: LogFields, message: string) => hear(fields, message, false),
      warn: (fields: LogFields, message: string) => hear(fields, message, true),
    },
  };
  beforeEach(() => {
    skew = 0;
    faults = 0;
    warned.length = 0;
  });

  test('calls wait a few seconds and then get its fault; the run goes on when it is back', async () => {
    await using fixture = await openFleet(overrides);
    const { agent, conversation } = await fixture.newTalk();
    const runId = await fixture.running(conversation);
    fixture.provider.fault = gone();
    fixture.provider.cut();
    await until('the break is known', () => fixture.fleet.currentGuest(agent.id) === undefined);
    const looked = fixture.fleet.findClient(agent);
    const needed = fixture.fleet.ensureClient(agent);
    const driven = fixture.fleet.reattach(agent);
    await until('the engine is asked in vain', () => faults > 1);
    skew = 10_000;
    await expect(looked).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    await expect(needed).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    await expect(fixture.fleet.findClient(agent)).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(await fixture.domain.runs.get(runId)).toMatchObject({ state: 'running' });
    fixture.provider.fault = undefined;
    expect(await driven).toMatchObject({ incarnation: fixture.fleet.currentGuest(agent.id)?.incarnation });
    expect(fixture.provider.stopped).toEqual([]);
  });

  test('a fault that is over is not told to who comes later: they wait for one more attempt, which is made at once', async () => {
    let isHeld = false;
    let held = 0;
    await using fixture = await openFleet({
      ...overrides,
      clock: {
        ...overrides.clock,
        schedule: (ms, callback) => {
          // The rest after an attempt, but for its first second, lasts for ever.
          if (!isHeld || ms <= 1_000 || ms > 4_000) return overrides.clock.schedule(ms, callback);
          held++;
          return () => undefined;
        },
      },
    });
    const { agent } = await fixture.newTalk();
    fixture.provider.fault = gone();
    fixture.provider.cut();
    await until('the break is known', () => fixture.fleet.currentGuest(agent.id) === undefined);
    const looked = fixture.fleet.findClient(agent);
    looked.catch(() => undefined); // awaited below
    await until('the engine is asked in vain', () => faults > 1);
    skew = 10_000;
    isHeld = true;
    await expect(looked).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    await until('it rests', () => held > 0);
    const before = faults;
    const rests = held;
    await expect(fixture.fleet.findClient(agent)).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(faults).toBe(before + 1);
    await until('it rests again', () => held > rests);
    fixture.provider.fault = undefined;
    expect(await fixture.fleet.findClient(agent)).toBeDefined();
  });

  test('the log tells at the first fault, and once a minute from then on', async () => {
    await using fixture = await openFleet(overrides);
    await fixture.newTalk();
    fixture.provider.fault = gone();
    fixture.provider.cut();
    await until('the engine is asked in vain', () => faults > 3);
    expect(warned).toEqual(['it is not known whether the sandbox lives; looking again']);
    skew = 70_000;
    const before = faults;
    await until('it is asked some more', () => faults > before + 3);
    expect(warned).toHaveLength(2);
    fixture.provider.fault = new CaissonError('STORAGE_UNAVAILABLE', 'The disk is full.');
    await until('another fault is told at once', () => warned.length === 3);
  });
});

test.for([
  [{ exitCode: 137, outOfMemory: true }, 'The sandbox was killed, after it ran out of memory.'],
  [{ exitCode: 137, outOfMemory: false }, 'The sandbox ended with exit code 137 (killed).'],
  [{ exitCode: 0, outOfMemory: true }, 'The sandbox ended with exit code 0.'],
] as const)('how a sandbox ended is stored, told by an event and logged: %o', async ([ended, said]) => {
  const logged: LogFields[] = [];
  const info = (fields: LogFields): void => void logged.push(fields);
  await using fixture = await openFleet({ domainLogger: { ...silentLogger, info } });
  const { agent } = await fixture.newTalk();
  await fixture.provider.end(agent.id, ended);
  const lost = await until('the loss is stored', async () => {
    const { sandbox } = await fixture.domain.agents.get(agent.id);
    return sandbox.state === 'stopped' && sandbox;
  });
  expect(lost.reason).toBe(said);
  const events = await fixture.domain.events.read({ agentId: agent.id, after: 0, limit: 100 });
  expect(events.findLast(({ type }) => type === 'sandbox.status')).toMatchObject({ state: 'stopped', message: said });
  expect(logged.map(({ state }) => state)).toEqual(['starting', 'running', 'stopped']);
  expect(logged.at(-1)).toMatchObject({ agentId: agent.id, reason: said });
});

test('a sandbox that is stopped for its silence is said to be, also when its end cannot be stored at once', async () => {
  let skew = 0;
  let isFull = false;
  let refused = 0;
  await using fixture = await openFleet({
    clock: {
      now: () => Date.now() + skew,
      elapsed: () => performance.now() + skew,
      schedule: (ms, callback) => systemClock.schedule(soon(ms), callback),
    },
    observe: (real) => ({
      applyJournal: (...args) => real.applyJournal(...args),
      flushed: () => real.flushed(),
      sandboxAttached: (...args) => real.sandboxAttached(...args),
      sandboxStarting: (...args) => real.sandboxStarting(...args),
      sandboxFailed: (...args) => real.sandboxFailed(...args),
      sandboxLost: async (...args) => {
        if (isFull) {
          refused++;
          throw new CaissonError('STORAGE_UNAVAILABLE', 'The disk is full.');
        }
        await real.sandboxLost(...args);
      },
    }),
  });
  const { agent } = await fixture.newTalk();
  isFull = true;
  fixture.provider.isDeaf = true;
  fixture.provider.cut();
  const { connects } = fixture.provider;
  await until('it was called in vain', () => fixture.provider.connects > connects + 2);
  skew = 70_000;
  await until('its end could not be stored', () => refused > 1);
  isFull = false;
  const { sandbox } = await until('its end is stored', async () => {
    const found = await fixture.domain.agents.get(agent.id);
    return found.sandbox.state === 'stopped' && found;
  });
  expect(sandbox).toMatchObject({ reason: 'The sandbox did not answer for 60 s, and was stopped.' });
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

test('a fleet that is closed leaves a stop that the provider does not bring to its end, and says so', async () => {
  const log: LoggedLine[] = [];
  const due: (() => void)[] = [];
  const schedule: Clock['schedule'] = (ms, callback) =>
    ms === 3_000 ? (due.push(callback), () => undefined) : systemClock.schedule(ms, callback);
  await using fixture = await openFleet({ clock: { ...systemClock, schedule }, logger: recordingLogger(log) });
  const { agent } = await fixture.newTalk();
  const stopped = Promise.withResolvers<void>();
  fixture.provider.beforeStop = () => stopped.promise;
  const stopping = fixture.fleet.stop(agent.id, 'a test');
  await until('the provider was asked', () => fixture.provider.stopped.length > 0);
  const closing = fixture.fleet[Symbol.asyncDispose]();
  for (const callback of due) callback();
  await closing;
  expect(log.filter(({ level }) => level === 'warn')).toMatchObject([
    { fields: { agentIds: [agent.id] }, message: 'the provider is held up; what it was asked to do is left to it' },
  ]);
  fixture.provider.beforeStop = async () => undefined;
  stopped.resolve();
  await stopping;
});

test('a wire that breaks is counted, and one that is let go of is not', async () => {
  const broken: string[] = [];
  await using fixture = await openFleet({ onWireBroken: (code) => void broken.push(code) });
  const { agent } = await fixture.newTalk();
  fixture.provider.cut();
  await until('it is counted', () => broken.length > 0);
  await fixture.fleet.ensureGuest(agent);
  await fixture.fleet[Symbol.asyncDispose]();
  expect(broken).toEqual(['WIRE_LOST']);
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
