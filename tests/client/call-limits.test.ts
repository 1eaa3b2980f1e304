import { describe, expect, test } from 'vitest';
import { callLimitMs, longCalls } from '../../src/client/call-limits.ts';
import { appRouter } from '../../src/controlplane/api/app-router.ts';

describe('the limit of a call', () => {
  test.each([
    ['agents.list', {}, 60_000],
    ['agents.list', undefined, 60_000],
    ['agents.create', { name: 'a' }, 60_000],
    ['agents.create', { name: 'a', wait: true }, 660_000],
    ['runs.wait', {}, 90_000],
    ['runs.wait', { timeoutMs: 0 }, 60_000],
    ['runs.start', { timeoutMs: 3_600_000 }, 60_000],
    ['processes.exec', { timeoutMs: 5_000 }, 185_000],
    ['processes.kill', {}, 65_000],
    ['files.read', {}, 180_000],
    ['agents.sendMessage', { timeoutMs: 86_400_000 }, 86_460_000],
  ])('%s %j: what it waits for, and a plain call', (path, input, ms) => {
    expect(callLimitMs(path, input, 60_000)).toBe(ms);
  });

  test('is never more than timers know', () => {
    expect(callLimitMs('agents.list', {}, Number.POSITIVE_INFINITY)).toBe(2_147_483_647);
  });

  test('names only what the API has, and all of it that may start a sandbox or work on its files', () => {
    const names = Object.keys(appRouter._def.procedures);
    expect(names).toEqual(expect.arrayContaining(Object.keys(longCalls)));
    const subscriptions = new Set(['files.search', 'files.watch']);
    const ofFiles = names.filter((name) => /^(files|changes)\./.test(name) && !subscriptions.has(name));
    expect(ofFiles.filter((name) => longCalls[name] === undefined)).toEqual([]);
  });
});
