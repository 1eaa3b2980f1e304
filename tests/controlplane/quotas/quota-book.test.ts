import { expect, test } from 'vitest';
import { agentAccount, conversationAccount, userAccount } from '../../../src/controlplane/quotas/account.ts';
import { QuotaBook } from '../../../src/controlplane/quotas/quota-book.ts';
import type { QuotaStore } from '../../../src/controlplane/quotas/quota-store.ts';
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { newAgentId, newConversationId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { storedAgent } from '../../contracts/store-records.ts';
import { dataDirectory } from '../storage/data-directory.ts';

const expiresInMs = 60_000;

test('a call of an agent that is deleted in its middle is counted to its owner', async () => {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const book = new QuotaBook({ store: storage.quotas, agents: storage.agents, defaults: { ...noLimits, tokens: 100 } });
  using ledger = await StoredLedger.open({
    store: storage.ledger,
    terms: book,
    clock: systemClock,
    logger: silentLogger,
  });
  const { agent, conversation } = await storedAgent(storage.agents);
  const owner = userAccount(agent.ownerId);
  const charges = [owner, agentAccount(agent.id), conversationAccount(conversation.id)].map(
    (account) => ({ account, dimension: 'tokens', amount: 60 }) as const,
  );
  const reservation = await ledger.reserve(charges, { expiresInMs });
  expect(await ledger.remaining(owner, 'tokens')).toBe(40);
  await storage.agents.transaction(async (tx) => await tx.deleteAgent(agent.id));
  await book.change(owner, { version: 0, limits: { cost: 1 } }); // what was remembered is forgotten
  await reservation.settle(charges);
  expect(await ledger.balance(owner, 'tokens')).toMatchObject({ used: 60, reserved: 0 });
  await expect(ledger.reserve(charges, { expiresInMs })).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  expect(await ledger.balance(owner, 'tokens')).toMatchObject({ used: 60, reserved: 0 });
  await storage.close();
});

test('an account of nobody has no terms', async () => {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const book = new QuotaBook({ store: storage.quotas, agents: storage.agents, defaults: noLimits });
  await expect(book.of(agentAccount(newAgentId()))).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  await expect(book.of(conversationAccount(newConversationId()))).rejects.toMatchObject({
    code: 'CONVERSATION_NOT_FOUND',
  });
  await storage.close();
});

test('a limit that is read while it is changed is not remembered as it was', async () => {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const { agent } = await storedAgent(storage.agents);
  const owner = userAccount(agent.ownerId);
  const gate = Promise.withResolvers<void>();
  let isHeld = true;
  const store = {
    ...storage.quotas,
    findPolicy: async (account: typeof owner) => {
      const found = await storage.quotas.findPolicy(account);
      if (isHeld) await gate.promise;
      return found;
    },
  };
  const book = new QuotaBook({ store, agents: storage.agents, defaults: noLimits });
  const reading = book.of(owner);
  isHeld = false;
  await book.change(owner, { version: 0, limits: { tokens: 5 } });
  gate.resolve();
  await reading;
  expect((await book.of(owner)).limits.tokens).toBe(5);
  await storage.close();
});

test('a plan that is removed while it is given to a user is not given', async () => {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const { agent } = await storedAgent(storage.agents);
  const owner = userAccount(agent.ownerId);
  const savePolicy: QuotaStore['savePolicy'] = async (...policy) => {
    await storage.quotas.removePlan('team', 1);
    return await storage.quotas.savePolicy(...policy);
  };
  const store = { ...storage.quotas, savePolicy };
  const book = new QuotaBook({ store, agents: storage.agents, defaults: noLimits });
  await storage.quotas.savePlan({ name: 'team', limits: { tokens: 5 }, version: 0 });
  await expect(book.change(owner, { version: 0, plan: 'team' })).rejects.toMatchObject({ code: 'PLAN_NOT_FOUND' });
  expect(await book.policy(owner)).toMatchObject({ plan: null, version: 0 });
  await storage.close();
});
