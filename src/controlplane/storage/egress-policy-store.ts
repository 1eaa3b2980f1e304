import type { EgressPolicyStore } from '../egress/policy/policy.ts';
import * as policies from './egress-policies.ts';
import type { StorageAccess } from './storage-access.ts';

export function createEgressPolicyStore(access: StorageAccess): EgressPolicyStore {
  return {
    findPolicies: async (scopes) => await policies.find(access.db, scopes),
    changePolicy: async (scope, change) =>
      await access.transaction(async (tx) => await policies.change(tx, scope, change)),
    nextExpiry: async (now) => await policies.nextExpiry(access.db, now),
  };
}
