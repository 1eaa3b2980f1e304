import { expect, test } from 'vitest';
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { HandClock } from '../../acp/hand-clock.ts';

test('a ledger that is closed while it forgets what has expired leaves no timer behind', async () => {
  const clock = new HandClock();
  const unused = (): Promise<never> => Promise.reject(new Error('not called here'));
  let gate: Promise<void> = Promise.resolve();
  let sweeps = 0;
  const ledger = await StoredLedger.open({
    store: {
      transaction: unused,
      readAccount: unused,
      boundExpiries: async () => undefined,
      removeExpired: async () => {
        sweeps += 1;
        await gate;
      },
    },
    terms: { of: async () => ({ limits: noLimits, timeZone: 'UTC', agentId: null }) },
    clock,
    logger: silentLogger,
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = promise;
  clock.advance(60_000);
  expect(sweeps).toBe(2);
  ledger[Symbol.dispose]();
  resolve();
  await new Promise(setImmediate); // what waited for the gate has gone on
  expect(clock.hasTimers).toBe(false);
});
