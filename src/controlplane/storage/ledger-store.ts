import type { LedgerStore, LedgerTransaction } from '../quotas/ledger-store.ts';
import * as usage from './quota-usage.ts';
import type { StorageAccess } from './storage-access.ts';

export function createLedgerStore(access: StorageAccess): LedgerStore {
  return {
    transaction: async <T>(work: (tx: LedgerTransaction) => Promise<T>) =>
      await access.transaction(
        async (tx) =>
          await work({
            readAccount: async (account, dimension, now) => await usage.read(tx, { account, dimension }, now),
            writeAccount: async (account, dimension, state) => await usage.write(tx, { account, dimension }, state),
            insertReservation: async (id, charges, expiry) => await usage.reserve(tx, id, charges, expiry),
            removeReservation: async (id, now) => await usage.removeReservation(tx, id, now),
          }),
      ),
    readAccount: async (account, dimension, now) => await usage.read(access.db, { account, dimension }, now),
    removeExpired: async (now) => await usage.removeExpired(access.db, now),
    boundExpiries: async (now) => await usage.boundExpiries(access.db, now),
  };
}
