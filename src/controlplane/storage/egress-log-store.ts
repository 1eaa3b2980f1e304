import type { EgressLogStore } from '../egress/log/egress-log.ts';
import * as log from './egress-log.ts';
import type { StorageAccess } from './storage-access.ts';

export function createEgressLogStore(access: StorageAccess): EgressLogStore {
  return {
    addToLog: async (entries, open) =>
      await access.transaction(async (tx) => {
        await log.add(tx, entries);
        if (open !== undefined) await log.note(tx, open);
      }),
    addLeftOpen: async () => await access.transaction(async (tx) => await log.addLeftOpen(tx)),
    listLog: async (agentId, { host }, page) => await log.list(access.db, { agentId, host }, page),
    sumUsage: async (since) => await log.sumUsage(access.db, since),
    listUsage: async (filter, since) => await log.usage(access.db, filter, since),
  };
}
