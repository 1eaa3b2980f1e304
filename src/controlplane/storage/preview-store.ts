import type { PreviewStore } from '../previews/preview.ts';
import * as previews from './previews.ts';
import type { StorageAccess } from './storage-access.ts';

export function createPreviewStore(access: StorageAccess): PreviewStore {
  return {
    insertPreview: async (preview, options) =>
      await access.transaction(async (tx) => await previews.insert(tx, preview, options)),
    findPreview: async (id) => await previews.find(access.db, id),
    findPreviewByToken: async (tokenHash) => await previews.findByToken(access.db, tokenHash),
    listPreviews: async (agentId) => await previews.list(access.db, agentId),
    markPreviewOpened: async (id, at) => await previews.markOpened(access.db, id, at),
    revokePreview: async (id, at) => await previews.revoke(access.db, id, at),
    revokePreviewsOfKey: async (keyId, at) => await previews.revokeOfKey(access.db, keyId, at),
  };
}
