import type { LoginStore } from '../login/login-store.ts';
import * as invitations from './invitations.ts';
import * as logins from './logins.ts';
import * as sessions from './sessions.ts';
import type { StorageAccess } from './storage-access.ts';

export function createLoginStore(access: StorageAccess): LoginStore {
  return {
    findByEmail: async (email) => await logins.findByEmail(access.db, email),
    findByUser: async (id) => await logins.findByUser(access.db, id),
    emails: async () => await logins.emails(access.db),
    putEmail: async (userId, email) => await access.transaction(async (tx) => await logins.putEmail(tx, userId, email)),
    changePassword: async (userId, { from, to, now }) =>
      await access.transaction(async (tx) => {
        if ((await logins.findByUser(tx, userId))?.passwordHash !== from) return undefined;
        await logins.setPassword(tx, userId, to);
        return await sessions.end(tx, userId, { at: now });
      }),
    findInvited: async (secretHash, now) => {
      const user = await invitations.invited(access.db, { secretHash, now });
      return user && (await logins.findByUser(access.db, user.id));
    },
    acceptInvitation: async (secretHash, { passwordHash, now }) =>
      await access.transaction(async (tx) => {
        const user = await invitations.invited(tx, { secretHash, now });
        if (user === undefined || (await logins.findByUser(tx, user.id)) === undefined) return undefined;
        await invitations.spend(tx, user.id);
        await logins.setPassword(tx, user.id, passwordHash);
        return { user, ended: await sessions.end(tx, user.id, { at: now }) };
      }),

    findByIdentity: async (identity) => await logins.findByIdentity(access.db, identity),
    linkInvited: async (identity, { email, now }) =>
      await access.transaction(async (tx) => {
        const login = await logins.findByEmail(tx, email);
        const invitation = login && (await invitations.of(tx, login.user.id));
        if (login?.user.disabledAt !== null || invitation === undefined || invitation.expiresAt <= now)
          return undefined;
        await invitations.spend(tx, login.user.id);
        await logins.link(tx, login.user.id, identity);
        return login.user;
      }),
    insertLinked: async (login, identity) =>
      await access.transaction(async (tx) => await logins.insertLinked(tx, login, identity)),

    insertSession: async (session, secretHash, options) =>
      await access.transaction(async (tx) => await sessions.insert(tx, session, secretHash, options)),
    listSessions: async (userId) => await sessions.list(access.db, userId),
    endSessionsByTime: async (when) => await sessions.endByTime(access.db, when),
    endSessions: async (userId, options) => await sessions.end(access.db, userId, options),
  };
}
