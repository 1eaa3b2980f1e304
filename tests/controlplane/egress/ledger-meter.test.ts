import { expect, test } from 'vitest';
import { LedgerMeter } from '../../../src/controlplane/egress/ledger-meter.ts';
import { agentAccount, userAccount } from '../../../src/controlplane/quotas/account.ts';
import { QuotaBook } from '../../../src/controlplane/quotas/quota-book.ts';
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import type { Agent } from '../../../src/agents/agent.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { storedAgent } from '../../contracts/store-records.ts';
import { until } from '../../until.ts';
import { recordingLogger } from '../recording-logger.ts';
import { dataDirectory } from '../storage/data-directory.ts';

const lump = 4 * 1024 * 1024;

interface Metered {
  readonly storage: Storage;
  readonly ledger: StoredLedger;
  readonly meter: LedgerMeter;
  readonly clock: HandClock;
  readonly agent: Agent;
}

/** The real ledger in a real store. `limit`: bytes of egress that the agent's owner may have in a day. */
async function withMeter(limit: number | null, work: (metered: Metered) => Promise<void>): Promise<void> {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const [clock, logger] = [new HandClock(), recordingLogger([])];
  const { agent } = await storedAgent(storage.agents);
  const defaults = { ...noLimits, egress_bytes: limit };
  const terms = new QuotaBook({ store: storage.quotas, agents: storage.agents, defaults });
  const ledger = await StoredLedger.open({ store: storage.ledger, terms, clock, logger });
  const meter = new LedgerMeter({ ledger, findAgent: (id) => storage.agents.findAgent(id), clock, logger });
  try {
    await work({ storage, ledger, meter, clock, agent });
  } finally {
    ledger[Symbol.dispose]();
    await storage.close();
  }
}

test('bytes are counted on the agent and on its owner, 5 s later at the latest', async () => {
  await withMeter(null, async ({ meter, ledger, clock, agent }) => {
    await meter.take(agent.id, 1_000);
    expect(meter.take(agent.id, 500)).toBeUndefined(); // of the same lump: nobody waits
    for (const account of [userAccount(agent.ownerId), agentAccount(agent.id)]) {
      expect(await ledger.balance(account, 'egress_bytes')).toMatchObject({ used: 0, reserved: lump });
    }
    clock.advance(5_000);
    for (const account of [userAccount(agent.ownerId), agentAccount(agent.id)]) {
      await until('the count', async () => (await ledger.balance(account, 'egress_bytes')).used === 1_500);
      expect(await ledger.balance(account, 'egress_bytes')).toMatchObject({ reserved: 0 });
    }
  });
});

test('many at once never take more than the quota, and take all of it that fits', async () => {
  const [limit, piece] = [lump + 1_000_000, 64 * 1024];
  await withMeter(limit, async ({ meter, ledger, agent }) => {
    const taken = await Promise.allSettled(Array.from({ length: 200 }, async () => await meter.take(agent.id, piece)));
    const refused = taken.filter(({ status }) => status === 'rejected');
    expect(taken.length - refused.length).toBe(Math.floor(limit / piece));
    for (const { reason } of refused as PromiseRejectedResult[])
      expect(reason).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    await meter[Symbol.asyncDispose]();
    expect((await ledger.balance(userAccount(agent.ownerId), 'egress_bytes')).used).toBe(
      Math.floor(limit / piece) * piece,
    );
  });
});

test('an agent that is deleted meanwhile is counted on its owner, and takes no more', async () => {
  await withMeter(null, async ({ meter, ledger, storage, agent }) => {
    await meter.take(agent.id, 700);
    await storage.agents.transaction((tx) => tx.deleteAgent(agent.id));
    await meter[Symbol.asyncDispose]();
    expect((await ledger.balance(userAccount(agent.ownerId), 'egress_bytes')).used).toBe(700);
    await expect(meter.take(agent.id, 1)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });
});

test('what could not be counted when it was due is counted later, also where nothing more is sent', async () => {
  await withMeter(null, async ({ ledger, storage, clock, agent }) => {
    let isBroken = true;
    const failing = {
      remaining: ledger.remaining.bind(ledger),
      reserve: async (...of: Parameters<typeof ledger.reserve>) => {
        const reservation = await ledger.reserve(...of);
        const settle: typeof reservation.settle = async (actual) => {
          if (isBroken) throw new Error('the disk');
          await reservation.settle(actual);
        };
        return { settle, release: () => reservation.release(), extend: reservation.extend.bind(reservation) };
      },
    };
    const findAgent = (id: Agent['id']) => storage.agents.findAgent(id);
    const meter = new LedgerMeter({ ledger: failing, findAgent, clock, logger: recordingLogger([]) });
    await meter.take(agent.id, lump);
    await expect(meter.take(agent.id, 1)).rejects.toThrow('the disk');
    isBroken = false;
    clock.advance(5_000);
    const account = userAccount(agent.ownerId);
    await until('the count', async () => (await ledger.balance(account, 'egress_bytes')).used === lump);
  });
});
