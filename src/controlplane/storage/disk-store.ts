import type { DiskStore } from '../disk/disk-store.ts';
import * as disks from './disks.ts';
import type { StorageAccess } from './storage-access.ts';

export function createDiskStore(access: StorageAccess): DiskStore {
  return {
    listDisks: async () => await disks.list(access.db),
    saveDisk: async (record) => await access.transaction(async (tx) => await disks.save(tx, record)),
  };
}
