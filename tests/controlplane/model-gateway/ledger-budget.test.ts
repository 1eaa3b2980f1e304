import { expect, test } from 'vitest';
import { BudgetSpent } from '../../../src/controlplane/model-gateway/budget.ts';
import type { ModelCaller } from '../../../src/controlplane/model-gateway/callers.ts';
import { LedgerBudget } from '../../../src/controlplane/model-gateway/ledger-budget.ts';
import { agentAccount, conversationAccount, userAccount } from '../../../src/controlplane/quotas/account.ts';
import { QuotaBook } from '../../../src/controlplane/quotas/quota-book.ts';
import type { Ledger } from '../../../src/controlplane/quotas/ledger.ts';
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { type Limits, noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { newRunId } from '../../../src/kernel/ids.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { storedAgent } from '../../contracts/store-records.ts';
import { recordingLogger } from '../recording-logger.ts';
import { until } from '../../until.ts';
import { dataDirectory } from '../storage/data-directory.ts';

interface Budget {
  readonly storage: Storage;
  readonly ledger: StoredLedger;
  readonly budget: LedgerBudget;
  readonly clock: HandClock;
  readonly caller: ModelCaller;
}

/** The real ledger in a real store, with an agent that has one conversation. */
async function withBudget(limits: Partial<Limits>, work: (budget: Budget) => Promise<void>): Promise<void> {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const [clock, logger] = [new HandClock(), recordingLogger([])];
  const { agent, conversation } = await storedAgent(storage.agents);
  const terms = new QuotaBook({
    store: storage.quotas,
    agents: storage.agents,
    defaults: { ...noLimits, ...limits },
  });
  const ledger = await StoredLedger.open({ store: storage.ledger, terms, clock, logger });
  const caller = {
    userId: agent.ownerId,
    userName: 'ada',
    agentId: agent.id,
    conversationId: conversation.id,
    runId: null,
  };
  try {
    await using budget = new LedgerBudget({ ledger, clock, logger });
    await work({ storage, ledger, budget, clock, caller });
  } finally {
    ledger[Symbol.dispose]();
    await storage.close();
  }
}

const amount = { tokens: 600, costMicros: 50 };

test('a call is counted on its user, its agent and its conversation alike', async () => {
  await withBudget({}, async ({ budget, ledger, caller }) => {
    const hold = await budget.hold(caller, amount);
    await hold.extend({ tokens: 400, costMicros: 0 });
    const accounts = [
      userAccount(caller.userId),
      agentAccount(caller.agentId),
      ...(caller.conversationId === null ? [] : [conversationAccount(caller.conversationId)]),
    ];
    expect(accounts).toHaveLength(3);
    for (const account of accounts) {
      expect(await ledger.balance(account, 'tokens')).toMatchObject({ used: 0, reserved: 1_000 });
    }
    await hold.settle({ tokens: 1_234, costMicros: 99 });
    for (const account of accounts) {
      expect(await ledger.balance(account, 'tokens')).toMatchObject({ used: 1_234, reserved: 0 });
      expect(await ledger.balance(account, 'cost')).toMatchObject({ used: 99, reserved: 0 });
    }
  });
});

test('without room it says of what, and when there is some again', async () => {
  await withBudget({ tokens: 1_000 }, async ({ budget, ledger, caller, clock }) => {
    const hold = await budget.hold(caller, amount);
    const refusal = await budget.hold(caller, amount).catch((thrown: unknown) => thrown);
    expect(refusal).toBeInstanceOf(BudgetSpent);
    expect(refusal).toMatchObject({ message: expect.stringContaining('tokens quota of this user') });
    expect((refusal as BudgetSpent).resetsAt).toBeGreaterThan(clock.now());
    await expect(hold.extend({ tokens: 500, costMicros: 0 })).rejects.toBeInstanceOf(BudgetSpent);
    await hold.release();
    expect(await ledger.balance(userAccount(caller.userId), 'tokens')).toMatchObject({ used: 0, reserved: 0 });
  });
});

test('what a run was refused is known afterwards, of the latest 1,000 runs', async () => {
  await withBudget({ tokens: 1_000 }, async ({ budget, caller }) => {
    const [first, ...others] = Array.from({ length: 1_001 }, () => newRunId());
    if (first === undefined) throw new Error('there is no run');
    const hold = await budget.hold({ ...caller, runId: first }, amount);
    expect(budget.spentIn(first)).toBeUndefined();
    await expect(hold.extend({ tokens: 500, costMicros: 0 })).rejects.toBeInstanceOf(BudgetSpent);
    expect(budget.spentIn(first)).toContain('tokens quota of this user');
    for (const runId of others) await budget.hold({ ...caller, runId }, amount).catch(() => undefined);
    expect(budget.spentIn(first)).toBeUndefined();
    expect(others.every((runId) => budget.spentIn(runId)?.includes('tokens quota of this user'))).toBe(true);
  });
});

test('many at the same time never hold more than there is', async () => {
  await withBudget({ tokens: 6_000 }, async ({ budget, ledger, caller }) => {
    const asked = await Promise.allSettled(Array.from({ length: 50 }, () => budget.hold(caller, amount)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(await ledger.balance(userAccount(caller.userId), 'tokens')).toMatchObject({ reserved: 6_000 });
  });
});

test('what a call holds outlasts its first expiry, and that of a process that died does not', async () => {
  await withBudget({ tokens: 1_000 }, async ({ budget, ledger, caller, clock }) => {
    const account = userAccount(caller.userId);
    const hold = await budget.hold(caller, amount);
    for (let minute = 0; minute < 30; minute += 3) {
      clock.advance(3 * 60_000);
      await hold.extend({ tokens: 0, costMicros: 0 }); // behind the renewal that is under way
      expect(await ledger.balance(account, 'tokens')).toMatchObject({ reserved: 600 });
    }
    await hold.settle(amount);
    await ledger.reserve([{ account, dimension: 'tokens', amount: 100 }], { expiresInMs: 600_000 }); // nobody ends it
    expect(await ledger.balance(account, 'tokens')).toMatchObject({ used: 600, reserved: 100 });
    clock.advance(600_000);
    expect(await ledger.balance(account, 'tokens')).toMatchObject({ used: 600, reserved: 0 });
  });
});

test('an agent that is deleted while it asks does not spare its user what it took', async () => {
  await withBudget({}, async ({ budget, ledger, caller, storage }) => {
    const hold = await budget.hold(caller, amount);
    await storage.agents.transaction(async (tx) => await tx.deleteAgent(caller.agentId));
    await hold.settle({ tokens: 700, costMicros: 7 });
    const account = userAccount(caller.userId);
    expect(await ledger.balance(account, 'tokens')).toMatchObject({ used: 700, reserved: 0 });
    expect(await ledger.balance(account, 'cost')).toMatchObject({ used: 7, reserved: 0 });
  });
});

test('what the ledger does not take at the end of a call is counted when it does', async () => {
  for (const when of ['later', 'at the end'] as const) {
    await withBudget({}, async ({ ledger, clock, caller }) => {
      let isBroken = false;
      const full = new CaissonError('STORAGE_UNAVAILABLE', 'The disk of the data directory is full.');
      const breaking: Ledger = {
        remaining: async (account, dimension) => await ledger.remaining(account, dimension),
        reserve: async (charges, options) => {
          const held = await ledger.reserve(charges, options);
          const unlessBroken = async (end: () => Promise<void>): Promise<void> => {
            if (isBroken) throw full;
            await end();
          };
          return {
            extend: async (more) => await held.extend(more),
            settle: async (actual) => await unlessBroken(() => held.settle(actual)),
            release: async () => await unlessBroken(() => held.release()),
          };
        },
      };
      const logger = recordingLogger([]);
      const budget = new LedgerBudget({ ledger: breaking, clock, logger });
      const [one, other] = [await budget.hold(caller, amount), await budget.hold(caller, amount)];
      isBroken = true;
      await expect(one.settle({ tokens: 700, costMicros: 7 })).rejects.toBe(full);
      await expect(other.release()).rejects.toBe(full);
      clock.advance(5_000);
      isBroken = false;
      const account = userAccount(caller.userId);
      const counted = async () => await ledger.balance(account, 'tokens');
      if (when === 'later') {
        await until('it is counted', async () => {
          clock.advance(5_000);
          return (await counted()).used === 700 && (await counted()).reserved === 0;
        });
      }
      await budget[Symbol.asyncDispose]();
      expect(await counted()).toMatchObject({ used: 700, reserved: 0 });
    });
  }
});
