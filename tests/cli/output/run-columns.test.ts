import { expect, test } from 'vitest';
import { runColumns } from '../../../src/cli/output/run-columns.ts';
import { aConversation, aRun, anAgent, now } from '../../contracts/store-records.ts';

test('a run in which the clock was set back took no time', () => {
  const run = { ...aRun(aConversation(anAgent().id)), startedAt: now, endedAt: now - 3_600_000 };
  expect(
    runColumns(now)
      .find(({ title }) => title === 'took')
      ?.value(run),
  ).toBe('0 ms');
});
