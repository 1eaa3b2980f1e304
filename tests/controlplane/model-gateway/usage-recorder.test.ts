import { expect, test } from 'vitest';
import type { ModelUsage } from '../../../src/controlplane/model-gateway/model-usage.ts';
import { UsageRecorder } from '../../../src/controlplane/model-gateway/usage-recorder.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { aModelUsage } from '../model-usage.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';
import { until } from '../../until.ts';

const full = new CaissonError('STORAGE_UNAVAILABLE', 'The disk of the data directory is full.');

/** A recorder over a store that takes nothing while `failure` is set. */
function open() {
  const store = { failure: undefined as Error | undefined, kept: [] as number[] };
  const clock = new HandClock();
  const log: LoggedLine[] = [];
  const add = async (calls: readonly ModelUsage[]): Promise<void> => {
    if (store.failure !== undefined) throw store.failure;
    store.kept.push(...calls.map(({ outputTokens }) => outputTokens));
  };
  return { store, clock, log, recorder: new UsageRecorder({ add }, clock, recordingLogger(log)) };
}

const callOf = (outputTokens: number): ModelUsage => aModelUsage({ outputTokens });
const levels = (log: readonly LoggedLine[]) => log.map(({ level }) => level);

test('calls that end while the disk is full are kept once it takes them, each once and in order', async () => {
  const { store, clock, log, recorder } = open();
  store.failure = full;
  await Promise.all([recorder.add(callOf(1)), recorder.add(callOf(2))]);
  clock.advance(5_000);
  await until('the next try', () => clock.hasTimers);
  await recorder.add(callOf(3));
  expect([store.kept, levels(log)]).toEqual([[], ['warn']]);
  store.failure = undefined;
  clock.advance(5_000);
  await until('the calls to be kept', () => store.kept.length > 0);
  await recorder[Symbol.asyncDispose]();
  expect(store.kept).toEqual([1, 2, 3]);
  expect([clock.hasTimers, levels(log)]).toEqual([false, ['warn']]);
});

test('the next call takes along those that wait', async () => {
  const { store, recorder } = open();
  store.failure = full;
  await recorder.add(callOf(1));
  store.failure = undefined;
  await recorder.add(callOf(2));
  expect(store.kept).toEqual([1, 2]);
});

test('what still waits at the end is tried once more, and logged whole where that fails', async () => {
  for (const failure of [undefined, full]) {
    const { store, clock, log, recorder } = open();
    store.failure = full;
    await recorder.add(callOf(7));
    store.failure = failure;
    await recorder[Symbol.asyncDispose]();
    expect(clock.hasTimers).toBe(false);
    if (failure === undefined) expect([store.kept, levels(log)]).toEqual([[7], ['warn']]);
    else expect(log.at(-1)).toMatchObject({ level: 'error', fields: { outputTokens: 7 } });
  }
});

test('what the store will never take is lost at once, and logged whole', async () => {
  const { store, clock, log, recorder } = open();
  store.failure = new Error('no such table');
  await recorder.add(callOf(7));
  store.failure = undefined;
  await recorder.add(callOf(8));
  expect([store.kept, clock.hasTimers]).toEqual([[8], false]);
  expect(log).toMatchObject([{ level: 'error', fields: { outputTokens: 7 } }]);
});
