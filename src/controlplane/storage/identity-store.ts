import type { IdentityStore } from '../auth/identity.ts';
import * as keys from './api-keys.ts';
import * as invitations from './invitations.ts';
import type { StorageAccess } from './storage-access.ts';
import * as users from './users.ts';

export function createIdentityStore(access: StorageAccess): IdentityStore {
  return {
    findUser: async (id) => await users.find(access.db, id),
    liveRole: async (id, now) => await users.liveRole(access.db, id, now),
    findUserByName: async (name) => await users.findByName(access.db, name),
    listUsers: async () => await users.list(access.db),
    insertUser: async (user) => await access.transaction(async (tx) => await users.insert(tx, user)),
    disableUser: async (id, at) => await access.transaction(async (tx) => await users.disable(tx, id, at)),
    enableUser: async (id) => await users.enable(access.db, id),
    deleteUser: async (id) => await access.transaction(async (tx) => await users.remove(tx, id)),

    insertKey: async (key, secretHash) => await keys.insert(access.db, key, secretHash),
    findKeyByHash: async (secretHash) => await keys.findByHash(access.db, secretHash),
    findKey: async (id) => await keys.find(access.db, id),
    listKeys: async (userId) => await keys.list(access.db, userId),
    listLiveKeyIds: async (userId) => await keys.listLiveIds(access.db, userId),
    revokeKey: async (id, at) => await access.transaction(async (tx) => await keys.revoke(tx, id, at)),
    touchKey: async (id, at) => await keys.touch(access.db, id, at),

    putInvitation: async (invitation, secretHash) => await invitations.put(access.db, invitation, secretHash),
    listInvitations: async () => await invitations.list(access.db),
    acceptInvitation: async (secretHash, now, key) =>
      await access.transaction(async (tx) => await invitations.accept(tx, { secretHash, now }, key)),
  };
}
