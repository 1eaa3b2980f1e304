import { CaissonError } from '../../kernel/errors.ts';
import type { LedgerStore, LedgerTransaction } from '../quotas/ledger-store.ts';
import * as usage from './quota-usage.ts';
import type { StorageAccess } from './storage-access.ts';

export function createLedgerStore(access: StorageAccess): LedgerStore {
  return {
    transaction: async <T>(work: (tx: LedgerTransaction) => Promise<T>) =>
      await access.sharedTransaction(
        async (tx) =>
          await work({
            readAccounts: async (entries, now) => await usage.read(tx, entries, now),
            addUse: async (uses, now) => await usage.add(tx, uses, now),
            insertReservation: async (id, charges, expiry) => await usage.reserve(tx, id, charges, expiry),
            removeReservation: async (id, held) => await usage.removeReservation(tx, id, held),
          }),
      ),
    readAccount: async (account, dimension, now) => {
      const [state] = await usage.read(access.db, [{ account, dimension }], now);
      if (state === undefined) throw new CaissonError('INTERNAL', 'The state of an account could not be read.');
      return state;
    },
    removeExpired: async (now) => await usage.removeExpired(access.db, now),
    boundExpiries: async (now) => await usage.boundExpiries(access.db, now),
  };
}
