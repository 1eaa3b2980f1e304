import type { QuotaStore } from '../quotas/quota-store.ts';
import * as policies from './quota-policies.ts';
import type { StorageAccess } from './storage-access.ts';

export function createQuotaStore(access: StorageAccess): QuotaStore {
  return {
    findPolicy: async (account) => await policies.find(access.db, account),
    savePolicy: async (account, policy, agentId) =>
      await access.transaction(async (tx) => await policies.save(tx, account, policy, agentId)),
    findPlan: async (name) => await policies.findPlan(access.db, name),
    listPlans: async () => await policies.listPlans(access.db),
    savePlan: async (plan) => await policies.savePlan(access.db, plan),
    removePlan: async (name, version) =>
      await access.transaction(async (tx) => await policies.removePlan(tx, name, version)),
  };
}
