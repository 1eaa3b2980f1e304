import type { ModelUsageStore } from '../model-gateway/model-usage.ts';
import * as modelCalls from './model-calls.ts';
import * as modelTotals from './model-totals.ts';
import type { StorageAccess } from './storage-access.ts';

/** Calls that are kept one by one, and days whose sums are. By count, so that a clock that jumps makes nothing forgotten. */
const defaultRetention = { calls: 1_000_000, days: 400 };

export function createModelUsageStore(access: StorageAccess, retention = defaultRetention): ModelUsageStore {
  return {
    add: async (calls) =>
      await access.sharedTransaction(async (tx) => {
        await modelCalls.insert(tx, calls, retention.calls);
        await modelTotals.add(tx, calls, retention.days);
      }),
    totals: async (filter) => await modelTotals.list(access.db, filter),
    listCalls: async (filter, page) => await modelCalls.list(access.db, filter, page),
  };
}
