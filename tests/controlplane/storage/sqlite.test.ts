import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { createAgentStore } from '../../../src/controlplane/storage/agent-store.ts';
import { createDiskStore } from '../../../src/controlplane/storage/disk-store.ts';
import { createEgressLogStore } from '../../../src/controlplane/storage/egress-log-store.ts';
import { createEgressPolicyStore } from '../../../src/controlplane/storage/egress-policy-store.ts';
import { openSqlite } from '../../../src/controlplane/storage/open-sqlite.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { createIdentityStore } from '../../../src/controlplane/storage/identity-store.ts';
import { createSecretStore } from '../../../src/controlplane/storage/secret-store.ts';
import { createPreviewStore } from '../../../src/controlplane/storage/preview-store.ts';
import { createShareStore } from '../../../src/controlplane/storage/share-store.ts';
import { agentAccount } from '../../../src/controlplane/quotas/account.ts';
import { unsaid } from '../../../src/controlplane/quotas/policy.ts';
import { createLedgerStore } from '../../../src/controlplane/storage/ledger-store.ts';
import { createQuotaStore } from '../../../src/controlplane/storage/quota-store.ts';
import { StorageAccess } from '../../../src/controlplane/storage/storage-access.ts';
import { newEgressRuleId, newIncarnationId, newKeyId, newPreviewId, newUserId } from '../../../src/kernel/ids.ts';
import { agentStoreContract } from '../../contracts/agent-store.ts';
import { egressPolicyStoreContract } from '../../contracts/egress-policy-store.ts';
import { anEgressEntry, egressLogStoreContract } from '../../contracts/egress-log-store.ts';
import { identityStoreContract } from '../../contracts/identity-store.ts';
import { anAuthority, aSecret, secretStoreContract } from '../../contracts/secret-store.ts';
import { shareStoreContract } from '../../contracts/share-store.ts';
import { aDelta, aMessage, anAgent, aPermission, aRun, now, storedAgent } from '../../contracts/store-records.ts';
import { dataDirectory } from './data-directory.ts';

agentStoreContract('SQLite', async () => {
  const directory = dataDirectory();
  const storage = await openStorage(directory.path);
  return {
    store: storage.agents,
    close: async () => {
      await storage.close();
      directory[Symbol.dispose]();
    },
  };
});

identityStoreContract('SQLite', async () => {
  const directory = dataDirectory();
  const storage = await openStorage(directory.path);
  return {
    store: storage.identities,
    close: async () => {
      await storage.close();
      directory[Symbol.dispose]();
    },
  };
});

egressPolicyStoreContract('SQLite', async () => {
  const directory = dataDirectory();
  const storage = await openStorage(directory.path);
  return {
    store: storage.egressPolicies,
    agents: storage.agents,
    identities: storage.identities,
    close: async () => {
      await storage.close();
      directory[Symbol.dispose]();
    },
  };
});

egressLogStoreContract('SQLite', async () => {
  const directory = dataDirectory();
  const storage = await openStorage(directory.path);
  return {
    store: storage.egressLog,
    agents: storage.agents,
    close: async () => {
      await storage.close();
      directory[Symbol.dispose]();
    },
  };
});

secretStoreContract('SQLite', async () => {
  const directory = dataDirectory();
  const storage = await openStorage(directory.path);
  return {
    ...storage,
    close: async () => {
      await storage.close();
      directory[Symbol.dispose]();
    },
  };
});

shareStoreContract('SQLite', async () => {
  const directory = dataDirectory();
  const storage = await openStorage(directory.path);
  return {
    ...storage,
    close: async () => {
      await storage.close();
      directory[Symbol.dispose]();
    },
  };
});

/** An agent with a row in every table that can have one. */
async function fullAgent(access: StorageAccess): Promise<string> {
  const [store, previews, ledger] = [createAgentStore(access), createPreviewStore(access), createLedgerStore(access)];
  const { agent, conversation } = await storedAgent(store);
  const run = aRun(conversation);
  const message = aMessage(conversation, { runId: run.id });
  await store.transaction(async (tx) => {
    await tx.insertMessage(message);
    await tx.insertRun(run);
    await tx.insertPermission(aPermission(conversation));
    await tx.appendEvents(agent.id, [aDelta('x')]);
    await tx.setJournalPosition(agent.id, newIncarnationId(), 1);
    await tx.setSessionOffer(agent.id, { modes: [], models: [], mode: null, model: null });
    await tx.insertIdempotent(
      { principalId: agent.ownerId, conversationId: conversation.id, key: 'k' },
      { fingerprint: 'f', runId: run.id, messageId: message.id, acceptedAt: now },
    );
  });
  const preview = {
    id: newPreviewId(),
    agentId: agent.id,
    port: 3000,
    access: 'owner',
    createdBy: agent.ownerId,
    keyId: newKeyId(),
    createdAt: now,
    expiresAt: now + 1,
    openedAt: null,
    revokedAt: null,
  } as const;
  await previews.insertPreview(preview, { tokenHash: preview.id, mostActive: 1, mostKept: 1 });
  const user = { id: newUserId(), name: agent.id, role: 'member', createdAt: now, disabledAt: null } as const;
  await createIdentityStore(access).insertUser(user);
  const share = {
    agentId: agent.id,
    userId: user.id,
    role: 'viewer',
    createdBy: agent.ownerId,
    createdAt: now,
  } as const;
  await createShareStore(access).putShare(share, 1);
  await ledger.transaction(async (tx) => {
    const account = agentAccount(agent.id);
    await tx.addUse([{ account, dimension: 'tokens', amount: 1, resetsAt: null, agentId: agent.id }], now);
  });
  await createQuotaStore(access).savePolicy(agentAccount(agent.id), unsaid, agent.id);
  const [by, expiresAt] = [agent.ownerId, null];
  const rule = { id: newEgressRuleId(), effect: 'allow', addedBy: by, addedAt: now, why: null, expiresAt } as const;
  await createEgressPolicyStore(access).changePolicy(
    { kind: 'agent', agentId: agent.id },
    {
      ifVersion: null,
      mode: 'ask',
      add: [{ ...rule, subject: { preset: 'npm' } }],
      remove: [],
      by,
      at: now,
      why: null,
    },
  );
  await createEgressLogStore(access).addToLog(
    [anEgressEntry(agent.id)],
    new Map([[agent.id, [anEgressEntry(agent.id)]]]),
  );
  await createSecretStore(access).putSecret(aSecret({ kind: 'agent', agentId: agent.id }));
  await createSecretStore(access).putAuthority(anAuthority(agent.id));
  await createDiskStore(access).saveDisk({
    agentId: agent.id,
    usedBytes: 1,
    method: 'walk',
    state: 'ok',
    measuredAt: now,
  });
  return agent.id;
}

test('deleting an agent empties every table of its rows, and of nothing else', async () => {
  using directory = dataDirectory();
  const db = await openSqlite(join(directory.path, 'caisson.db'));
  const access = new StorageAccess(db);
  const store = createAgentStore(access);
  const notOfAgents = [
    'api_keys',
    'egress_usage',
    'invitations',
    'kysely_migration',
    'kysely_migration_lock',
    'login_identities',
    'logins',
    'quota_plans',
    'quota_reservations',
    'users',
    // What was used stays counted.
    'model_calls',
    'model_totals',
    // These outlive what they are about.
    'audit_head',
    'audit_open',
    'audit_clock',
    'audit_records',
  ];
  const tables = (await db.introspection.getTables({ withInternalKyselyTables: true }))
    .map(({ name }) => name)
    .filter((name) => !notOfAgents.includes(name));
  const count = async (): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const table of tables) {
      const { rows } = await sql<{ rows: number }>`select count(*) as rows from ${sql.table(table)}`
        .execute(db)
        .then((result) => ({ rows: result.rows[0]?.rows ?? 0 }));
      counts[table] = rows;
    }
    return counts;
  };
  const [doomed] = [await fullAgent(access), await fullAgent(access)];
  // A table that stays empty here would not be tested: give `fullAgent` a row for it.
  expect(await count()).toEqual(Object.fromEntries(tables.map((table) => [table, 2])));
  const { id } = (await store.listAgentIds()).find((agent) => agent.id === doomed) ?? anAgent();
  await store.transaction((tx) => tx.deleteAgent(id));
  expect(await count()).toEqual(Object.fromEntries(tables.map((table) => [table, 1])));
  await db.destroy();
});

test('a full disk is an error with a sentence, and leaves nothing half-written', async () => {
  using directory = dataDirectory();
  const db = await openSqlite(join(directory.path, 'caisson.db'));
  const store = createAgentStore(new StorageAccess(db));
  const { agent, conversation } = await storedAgent(store);
  const pages = (await sql<{ page_count: number }>`pragma page_count`.execute(db)).rows[0]?.page_count ?? 0;
  await sql`pragma max_page_count = ${sql.lit(pages + 4)}`.execute(db);

  const full = { code: 'STORAGE_UNAVAILABLE', message: 'The disk of the data directory is full.' };
  const messages = Array.from({ length: 200 }, () => aMessage(conversation));
  const writing = store.transaction(async (tx) => {
    for (const message of messages) await tx.insertMessage(message);
  });
  await expect(writing).rejects.toMatchObject(full);
  const goingOn = store.transaction(async (tx) => {
    for (const message of messages) await tx.insertMessage(message).catch(() => undefined);
    await tx.setAgentDeleting(agent.id).catch(() => undefined);
  });
  await expect(goingOn).rejects.toMatchObject(full);
  expect((await store.listMessages(agent.id, null, { limit: 200, cursor: null })).items).toEqual([]);
  expect(await store.findAgent(agent.id)).toEqual(agent);
  expect(await store.findConversation(conversation.id)).toEqual(conversation);

  await sql`pragma max_page_count = 1000000`.execute(db);
  await store.transaction(async (tx) => {
    for (const message of messages) await tx.insertMessage(message);
  });
  expect((await store.listMessages(agent.id, null, { limit: 200, cursor: null })).items).toEqual(messages);
  await db.destroy();
});

test('after a refused write the store is unhealthy until it takes one, which the check makes by itself', async () => {
  using directory = dataDirectory();
  const db = await openSqlite(join(directory.path, 'caisson.db'));
  const access = new StorageAccess(db);
  const store = createAgentStore(access);
  await access.checkHealth();
  await sql`pragma query_only = 1`.execute(db);
  const refused = { code: 'STORAGE_UNAVAILABLE' };
  await expect(storedAgent(store)).rejects.toMatchObject(refused);
  await expect(access.checkHealth()).rejects.toMatchObject(refused);
  await expect(access.checkHealth()).rejects.toMatchObject(refused);
  await sql`pragma query_only = 0`.execute(db);
  await access.checkHealth();
  await db.destroy();
});

test('commits go to a write-ahead log that is brought onto the disk apart from them, and foreign keys are on', async () => {
  using directory = dataDirectory();
  const db = await openSqlite(join(directory.path, 'caisson.db'));
  const pragma = async (name: string): Promise<unknown> =>
    Object.values((await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(db)).rows[0] ?? {})[0];
  expect(await pragma('journal_mode')).toBe('wal');
  expect(await pragma('synchronous')).toBe(1);
  expect(await pragma('foreign_keys')).toBe(1);
  expect(await pragma('busy_timeout')).toBe(5_000);
  await db.destroy();
});
