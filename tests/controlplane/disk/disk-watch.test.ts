import { expect, test } from 'vitest';
import type { Agent } from '../../../src/agents/agent.ts';
import { DiskBook } from '../../../src/controlplane/disk/disk-book.ts';
import { DiskWatch } from '../../../src/controlplane/disk/disk-watch.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import type { Clock } from '../../../src/kernel/clock.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { anAgent } from '../../contracts/store-records.ts';
import { until } from '../../until.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';

const second = 1_000;

const emptyBook = async (clock: Clock, agent: Agent): Promise<DiskBook> =>
  await DiskBook.open({
    store: { listDisks: async () => [], saveDisk: async () => undefined },
    agents: { findAgent: async () => agent },
    terms: { of: async () => ({ limits: noLimits, timeZone: 'UTC', agentId: null }), onChanged: () => undefined },
    defaultLimitBytes: null,
    clock,
  });

test('a sandbox is measured when it has been up for 2 s, also where its disk was measured while it was down', async () => {
  const clock = new SteeredClock();
  const agent = anAgent();
  const book = await emptyBook(clock, agent);
  let isUp = false;
  let measured = 0;
  await using watch = new DiskWatch({
    book,
    provider: {
      measureDisk: async () => ({ method: 'counted', usedBytes: ++measured }),
      diskSpace: async () => undefined,
    },
    agents: { listAgentsUp: async () => (isUp ? [agent] : []), listAgentIds: async () => [agent] },
    stop: async () => undefined,
    tell: async () => undefined,
    clock,
    logger: silentLogger,
  });
  /** Until the watch waits again: for its next look, or behind a measurement. */
  const pass = async (ms: number): Promise<number> => {
    await until('the watch waits', () => clock.timers === 1);
    clock.advance(ms);
    await until('the watch waits again', () => clock.timers === 1);
    return measured;
  };
  await watch.measureNow(agent.id);
  await pass(60 * second);
  const whileDown = measured;
  isUp = true;
  expect(await pass(60 * second)).toBe(whileDown);
  expect(await pass(second)).toBe(whileDown);
  expect(await pass(second)).toBe(whileDown + 1);
});

test('a watch that closes does not wait for a provider that is held up', async () => {
  const agent = anAgent();
  const begun = Promise.withResolvers<void>();
  const watch = new DiskWatch({
    book: await emptyBook(new SteeredClock(), agent),
    provider: {
      measureDisk: async () => {
        begun.resolve();
        return await new Promise<never>(() => undefined);
      },
      diskSpace: async () => undefined,
    },
    agents: { listAgentsUp: async () => [], listAgentIds: async () => [] },
    stop: async () => undefined,
    tell: async () => undefined,
    clock: new SteeredClock(),
    logger: silentLogger,
  });
  const measured = watch.measureNow(agent.id);
  await begun.promise;
  await watch[Symbol.asyncDispose]();
  await measured;
});
