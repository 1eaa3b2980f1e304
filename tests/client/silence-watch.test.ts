import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SilenceWatch } from '../../src/client/silence-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('tells of silence once, counted from the last sign of life, and not when it was stopped', () => {
  const told: string[] = [];
  const watch = new SilenceWatch('http://there', 45_000, ({ message }) => told.push(message));
  watch.start();
  vi.advanceTimersByTime(44_000);
  watch.start();
  vi.advanceTimersByTime(44_999);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  vi.advanceTimersByTime(90_000);
  expect(told).toEqual(['No control plane answers at http://there: nothing came for 45 s.']);
  watch.start();
  watch.stop();
  vi.advanceTimersByTime(90_000);
  expect(told).toHaveLength(1);
});

test('a machine that slept past the end is not yet silence: what came meanwhile is heard first', () => {
  const told: string[] = [];
  const watch = new SilenceWatch('http://there', 45_000, ({ message }) => told.push(message));
  watch.start();
  vi.runOnlyPendingTimers(); // what is due when it wakes, however long it was
  expect(told).toEqual([]);
  watch.start(); // something came
  vi.advanceTimersByTime(44_999);
  expect(told).toEqual([]);
});
