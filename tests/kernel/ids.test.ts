import { expect, test } from 'vitest';
import { newRunId } from '../../src/kernel/ids.ts';

test('the random part of an id is drawn anew for each', () => {
  const ends = Array.from({ length: 2_000 }, () => newRunId().slice(-16));
  expect(new Set(ends).size).toBe(2_000);
});
