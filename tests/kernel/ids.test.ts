import { expect, test } from 'vitest';
import { egressRuleIdSchema, newRunId } from '../../src/kernel/ids.ts';

test('the random part of an id is drawn anew for each', () => {
  const ends = Array.from({ length: 2_000 }, () => newRunId().slice(-16));
  expect(new Set(ends).size).toBe(2_000);
});

test('what is no id is told how one is written', () => {
  const { error } = egressRuleIdSchema.safeParse('egr-1');
  expect(error?.issues[0]?.message).toBe('must be egr- and 26 letters and digits');
});
