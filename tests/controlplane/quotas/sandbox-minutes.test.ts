import { expect, test } from 'vitest';
import { agentAccount, userAccount } from '../../../src/controlplane/quotas/account.ts';
import { SandboxMinutes } from '../../../src/controlplane/quotas/sandbox-minutes.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { type AgentId, newAgentId, newUserId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { until } from '../../until.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { storedAgent } from '../../contracts/store-records.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { QuotaBook } from '../../../src/controlplane/quotas/quota-book.ts';
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { recordingLogger, type LoggedLine } from '../recording-logger.ts';
import { dataDirectory } from '../storage/data-directory.ts';

test('each minute that a sandbox is up is counted, and one that has none left is stopped', async () => {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const log: LoggedLine[] = [];
  const logger = recordingLogger(log);
  const defaults = { ...noLimits, sandbox_minutes: 2 };
  const book = new QuotaBook({ store: storage.quotas, agents: storage.agents, defaults });
  using ledger = await StoredLedger.open({ store: storage.ledger, terms: book, clock: systemClock, logger });
  const { agent } = await storedAgent(storage.agents);
  const { agent: stopped } = await storedAgent(storage.agents, { sandbox: { state: 'stopped', reason: 'test' } });
  const clock = new HandClock();
  const stops: { id: AgentId; reason: string }[] = [];
  let looks = 0;
  const minutes = new SandboxMinutes({
    agents: {
      listAgentsUp: async (ownerId) => {
        const up = await storage.agents.listAgentsUp(ownerId);
        looks++;
        return up;
      },
    },
    ledger,
    stop: async (id, reason) => void stops.push({ id, reason }),
    clock,
    logger,
  });
  /** One look, and all that follows from it. */
  const look = async (): Promise<void> => {
    const before = looks;
    clock.advance(10_000);
    await until('it has looked', () => looks > before);
    await until('it is done', () => clock.hasTimers);
  };
  const used = async (account: Parameters<typeof ledger.balance>[0]): Promise<number> =>
    (await ledger.balance(account, 'sandbox_minutes')).used;

  for (let each = 0; each < 7; each++) await look();
  expect(await used(userAccount(agent.ownerId))).toBe(1);
  expect(await used(agentAccount(agent.id))).toBe(1);
  expect(await used(userAccount(stopped.ownerId))).toBe(0);
  for (let each = 0; each < 6; each++) await look();
  expect(await used(userAccount(agent.ownerId))).toBe(2);
  expect(stops).toEqual([]);
  for (let each = 0; each < 6; each++) await look();
  expect(stops).toMatchObject([{ id: agent.id, reason: expect.stringMatching(/sandbox_minutes.*2 of 2.*resets at/) }]);
  await storage.agents.transaction(async (tx) => await tx.deleteAgent(agent.id));
  for (let each = 0; each < 7; each++) await look();
  expect(stops.length).toBe(1);
  expect(log.filter(({ level }) => level === 'warn')).toEqual([]);
  await minutes[Symbol.asyncDispose]();
  await storage.close();
});

test('the count does not wait, when it is closed, for the stop of a sandbox', async () => {
  const clock = new HandClock();
  const asked = Promise.withResolvers<void>();
  const agent = { id: newAgentId(), ownerId: newUserId(), limits: { cpus: 1, memoryBytes: 1, pids: 1 } };
  const minutes = new SandboxMinutes({
    agents: { listAgentsUp: async () => [agent] },
    ledger: {
      reserve: async () => {
        throw new CaissonError('QUOTA_EXCEEDED', 'spent');
      },
    },
    stop: async () => {
      asked.resolve();
      await new Promise(() => undefined);
    },
    clock,
    logger: silentLogger,
  });
  for (let each = 0; each < 7; each++) {
    await until('it waits for the next look', () => clock.hasTimers);
    clock.advance(10_000);
  }
  await asked.promise;
  await minutes[Symbol.asyncDispose]();
});
