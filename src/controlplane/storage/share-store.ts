import type { ShareStore } from '../auth/sharing.ts';
import * as shares from './shares.ts';
import type { StorageAccess } from './storage-access.ts';

export function createShareStore(access: StorageAccess): ShareStore {
  return {
    findShare: async (agentId, userId) => await shares.find(access.db, agentId, userId),
    listShares: async (agentId) => await shares.list(access.db, agentId),
    putShare: async (share, most) => await access.transaction(async (tx) => await shares.put(tx, share, most)),
    removeShare: async (agentId, userId) => await shares.remove(access.db, agentId, userId),
  };
}
