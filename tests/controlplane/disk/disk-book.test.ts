import { expect, test } from 'vitest';
import { DiskBook } from '../../../src/controlplane/disk/disk-book.ts';
import { agentAccount } from '../../../src/controlplane/quotas/account.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { anAgent } from '../../contracts/store-records.ts';

/** The book of one agent that takes 90 of 100 bytes. */
async function openBook() {
  const agent = anAgent();
  const terms = { limit: 100, onAsked: async (): Promise<void> => undefined, onChanged: (): void => undefined };
  const book = await DiskBook.open({
    store: { listDisks: async () => [], saveDisk: async () => undefined },
    agents: { findAgent: async () => agent },
    terms: {
      of: async (account) => {
        if (account === agentAccount(agent.id)) await terms.onAsked();
        return { limits: { ...noLimits, disk: terms.limit }, timeZone: 'UTC', agentId: null };
      },
      onChanged: (listener) => void (terms.onChanged = listener),
    },
    defaultLimitBytes: null,
    clock: systemClock,
  });
  await book.note(agent.id, { usedBytes: 90, method: 'counted' });
  return { agent, terms, book };
}

test('a measurement that comes while limits are judged anew is not written over', async () => {
  const { agent, terms, book } = await openBook();
  const [isAsked, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  terms.onAsked = async () => {
    terms.onAsked = async () => undefined;
    isAsked.resolve();
    await goOn.promise;
  };
  terms.onChanged();
  const judged = book.judgeAnew();
  await isAsked.promise;
  await book.note(agent.id, { usedBytes: 1, method: 'counted' });
  goOn.resolve();
  await judged;
  expect(book.view(agent)).toMatchObject({ state: 'ok', usedBytes: 1 });
  expect(book.usedByUser(agent.ownerId)).toBe(1);
});

test('limits that could not be read are judged the next time', async () => {
  const { agent, terms, book } = await openBook();
  terms.limit = 50;
  terms.onAsked = async () => await Promise.reject(new Error('the agent has just been deleted'));
  terms.onChanged();
  await expect(book.judgeAnew()).rejects.toThrow('just been deleted');
  terms.onAsked = async () => undefined;
  await book.judgeAnew();
  expect(book.view(agent)).toMatchObject({ limitBytes: 50, state: 'full' });
});
