import { expect, test } from 'vitest';
import type { DiskChange } from '../../../src/controlplane/disk/disk-book.ts';
import { crossingsOf, stopReason } from '../../../src/controlplane/disk/disk-crossings.ts';
import { graceOf, stateOf } from '../../../src/controlplane/disk/disk-state.ts';
import { newAgentId, newUserId } from '../../../src/kernel/ids.ts';

const mebibyte = 1024 ** 2;
const limit = 100 * mebibyte;

/** From one size to another, of an agent whose user has no limit unless one is given. */
function change(fromBytes: number, toBytes: number, userLimit: number | null = null): DiskChange {
  return {
    agentId: newAgentId(),
    ownerId: newUserId(),
    before: stateOf(fromBytes, limit),
    after: stateOf(toBytes, limit),
    usedBytes: toBytes,
    limitBytes: limit,
    grewBytes: toBytes - fromBytes,
    user: {
      before: { usedBytes: fromBytes, limitBytes: userLimit },
      after: { usedBytes: toBytes, limitBytes: userLimit },
    },
  };
}

const marks = (from: number, to: number, userLimit?: number): string[] =>
  crossingsOf(change(from * mebibyte, to * mebibyte, userLimit)).map(({ of, mark }) => `${of} ${mark}`);

test('the states lie at 80 %, at the limit, and at the grace beyond it', () => {
  expect(stateOf(80 * mebibyte - 1, limit)).toBe('ok');
  expect(stateOf(80 * mebibyte, limit)).toBe('near');
  expect(stateOf(limit, limit)).toBe('full');
  expect(stateOf(limit + graceOf(limit), limit)).toBe('full');
  expect(stateOf(limit + graceOf(limit) + 1, limit)).toBe('over');
  expect(stateOf(Number.MAX_SAFE_INTEGER, null)).toBe('ok');
});

test('the grace is a tenth, at least 16 MiB and at most 256 MiB', () => {
  expect(graceOf(64 * mebibyte)).toBe(16 * mebibyte);
  expect(graceOf(1_000 * mebibyte)).toBe(100 * mebibyte);
  expect(graceOf(100_000 * mebibyte)).toBe(256 * mebibyte);
});

test('each mark is told once on the way up, and that there is room again on the way down', () => {
  expect(marks(0, 50)).toEqual([]);
  expect(marks(50, 85)).toEqual(['agent near']);
  expect(marks(85, 90)).toEqual([]);
  expect(marks(50, 105)).toEqual(['agent spent']);
  expect(marks(105, 200)).toEqual([]);
  expect(marks(200, 90)).toEqual(['agent freed']);
  expect(marks(90, 10)).toEqual([]);
});

test('the same of all agents of a user', () => {
  expect(marks(0, 45, 50 * mebibyte)).toEqual(['user near']);
  expect(marks(45, 60, 50 * mebibyte)).toEqual(['user spent']);
  expect(marks(60, 40, 50 * mebibyte)).toEqual(['user freed']);
});

test('a sandbox is stopped when it gets beyond the grace, and when it grows on from there', () => {
  const reason = (from: number, to: number, userLimit?: number): string | undefined =>
    stopReason(change(from * mebibyte, to * mebibyte, userLimit));
  expect(reason(0, 110)).toBeUndefined();
  expect(reason(50, 117)).toMatch(/117 MiB .* may take 100 MiB/);
  expect(reason(117, 117)).toBeUndefined();
  expect(reason(200, 150)).toBeUndefined();
  expect(reason(117, 119)).toBeDefined();
  expect(reason(10, 60, 40 * mebibyte)).toMatch(/agents of its owner took 60 MiB/);
  expect(reason(60, 60, 40 * mebibyte)).toBeUndefined();
});
