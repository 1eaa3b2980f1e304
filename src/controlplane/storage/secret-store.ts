import type { SecretStore } from '../egress/secrets/secret.ts';
import * as secrets from './secrets.ts';
import type { StorageAccess } from './storage-access.ts';

export function createSecretStore(access: StorageAccess): SecretStore {
  return {
    listSecrets: async (scope) => await secrets.list(access.db, scope),
    putSecret: async (secret) => await access.transaction(async (tx) => await secrets.put(tx, secret)),
    removeSecret: async (scope, id) => await secrets.remove(access.db, scope, id),
    touchSecret: async (id, at) => await secrets.touch(access.db, id, at),
    findAuthority: async (agentId) => await secrets.findAuthority(access.db, agentId),
    putAuthority: async (authority) =>
      await access.transaction(async (tx) => await secrets.putAuthority(tx, authority)),
    listSealed: async () => await secrets.listSealed(access.db),
    resealSecret: async (id, before, after) => await secrets.reseal(access.db, id, before, after),
    resealAuthority: async (agentId, before, after) => await secrets.resealAuthority(access.db, agentId, before, after),
  };
}
