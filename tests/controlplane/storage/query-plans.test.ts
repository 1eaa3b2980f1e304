import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import { expect, test } from 'vitest';
import type { AgentStore, AgentTransaction } from '../../../src/agents/ports.ts';
import type { ApiKey, IdentityStore, User } from '../../../src/controlplane/auth/identity.ts';
import type { AuditStore } from '../../../src/controlplane/audit/audit-store.ts';
import { genesis, seal } from '../../../src/controlplane/audit/chain.ts';
import type { Share, ShareStore } from '../../../src/controlplane/auth/sharing.ts';
import { createAgentStore } from '../../../src/controlplane/storage/agent-store.ts';
import { createAuditStore } from '../../../src/controlplane/storage/audit-store.ts';
import { createIdentityStore } from '../../../src/controlplane/storage/identity-store.ts';
import { createShareStore } from '../../../src/controlplane/storage/share-store.ts';
import { userAccount } from '../../../src/controlplane/quotas/account.ts';
import type { LedgerStore, LedgerTransaction } from '../../../src/controlplane/quotas/ledger-store.ts';
import { unsaid } from '../../../src/controlplane/quotas/policy.ts';
import type { QuotaStore } from '../../../src/controlplane/quotas/quota-store.ts';
import { createLedgerStore } from '../../../src/controlplane/storage/ledger-store.ts';
import { openSqlite } from '../../../src/controlplane/storage/open-sqlite.ts';
import { createQuotaStore } from '../../../src/controlplane/storage/quota-store.ts';
import { StorageAccess } from '../../../src/controlplane/storage/storage-access.ts';
import { newAgentId, newIncarnationId, newKeyId, newReservationId, newUserId } from '../../../src/kernel/ids.ts';
import { aConversation, aDelta, aMessage, anAgent, aPermission, aRun, now } from '../../contracts/store-records.ts';
import { fullKey } from '../principals.ts';
import { aCall } from '../audit/audit-fixture.ts';
import { dataDirectory } from './data-directory.ts';

/** Passes calls on, and keeps the names of the methods that were called. */
function watched<T extends object>(target: T, called: Set<string>): T {
  return new Proxy(target, {
    get: (_, name, receiver) => {
      called.add(String(name));
      return Reflect.get(target, name, receiver);
    },
  });
}

async function useAgentStore(
  store: AgentStore,
  inTransaction: (tx: AgentTransaction) => AgentTransaction,
): Promise<void> {
  const agent = anAgent();
  const conversation = aConversation(agent.id);
  const [run, permission, message] = [aRun(conversation), aPermission(conversation), aMessage(conversation)];
  const [incarnation, page] = [newIncarnationId(), { limit: 10, cursor: null }];
  const scope = { principalId: agent.ownerId, conversationId: conversation.id, key: 'k' };
  await store.transaction(async (bare) => {
    const tx = inTransaction(bare);
    await tx.insertAgent(agent);
    await tx.findAgent(agent.id);
    await tx.findAgentByName(agent.ownerId, agent.name);
    await tx.countAgents(agent.ownerId);
    await tx.listAgentsUp(agent.ownerId);
    await tx.countHistoryBytes(agent.ownerId);
    await tx.setAgentDeleting(agent.id);
    await tx.setSandboxStatus(agent.id, agent.sandbox);
    await tx.nextLeaseEpoch(agent.id);
    await tx.insertConversation(conversation);
    await tx.findConversation(conversation.id);
    await tx.closeConversation(conversation.id);
    await tx.setConversationSession(conversation.id, 's');
    await tx.setConversationTitle(conversation.id, 'a title');
    await tx.setConversationChoices(conversation.id, { model: 'a', mode: 'b' });
    await tx.setSessionOffer(agent.id, { modes: [], models: [], mode: null, model: null });
    await tx.insertMessage(message);
    await tx.countSaid(agent.id, 1);
    await tx.spokenTo(agent.id);
    await tx.findMessage(message.id);
    await tx.hasMessage(message.id);
    await tx.insertRun(run);
    await tx.findRun(run.id);
    await tx.listActiveRuns({ agentId: agent.id });
    await tx.listActiveRuns({ conversationId: conversation.id });
    await tx.requestRunCancel(run.id);
    await tx.moveRun(run.id, 'queued', { state: 'starting', incarnation });
    await tx.insertPermission(permission);
    await tx.hasPermission(permission.id);
    await tx.listPendingPermissions(agent.id);
    await tx.findPendingPermission(permission.id);
    await tx.isPermissionAwaited(run.id);
    await tx.countPendingPermissions(agent.id);
    await tx.resolvePermission(permission.id, {
      outcome: 'expired',
      optionId: null,
      resolvedBy: null,
      resolvedAt: now,
    });
    await tx.insertIdempotent(scope, { fingerprint: 'f', runId: run.id, messageId: message.id, acceptedAt: now });
    await tx.findIdempotent(scope);
    await tx.appendEvents(agent.id, [aDelta('x'), aDelta('y')]);
    await tx.setJournalPosition(agent.id, incarnation, 1);
    await tx.journalPosition(agent.id, incarnation);
  });
  await store.findAgent(agent.id);
  await store.findAgentByName(agent.ownerId, agent.name);
  await store.listAgents({ visibleTo: agent.ownerId, among: null }, page);
  await store.listAgents({ visibleTo: null, among: null }, page);
  await store.listAgents({ visibleTo: newUserId(), among: [agent.id, newAgentId()] }, page);
  await store.listOwnAgents(agent.ownerId);
  await store.countAgents(agent.ownerId);
  await store.listAgentsUp(agent.ownerId);
  await store.listAgentsUp(null);
  await store.countHistoryBytes(agent.ownerId);
  await store.listAgentIds();
  await store.findSessionOffer(agent.id);
  await store.findConversation(conversation.id);
  await store.listConversations(agent.id, page);
  await store.listMessages(agent.id, null, page);
  await store.listMessages(agent.id, conversation.id, page);
  await store.findMessage(message.id);
  await store.listReply(run.id);
  await store.findRun(run.id);
  await store.listRuns(agent.id, null, page);
  await store.listRuns(agent.id, conversation.id, page);
  await store.listActiveRuns();
  await store.listActiveRuns(agent.id);
  await store.findPermission(permission.id);
  await store.listPendingPermissions({ agentId: agent.id }, page);
  await store.listPendingPermissions({ visibleTo: agent.ownerId, among: null }, page);
  await store.listPendingPermissions({ visibleTo: null, among: null }, page);
  await store.listPendingPermissions({ visibleTo: agent.ownerId, among: [agent.id] }, page);
  await store.readEvents(agent.id, 0, 10);
  await store.eventBounds(agent.id);
  await store.flushed();
  await store.pruneEvents(agent.id, { events: 1, bytes: Infinity });
  await store.journalPosition(agent.id, incarnation);
  await store.transaction((bare) => inTransaction(bare).deleteAgent(agent.id));
}

async function useIdentityStore(store: IdentityStore): Promise<void> {
  const user: User = { id: newUserId(), name: 'ada', role: 'admin', createdAt: now, disabledAt: null };
  const rest = { createdAt: now, lastUsedAt: null, revokedAt: null, expiresAt: null, ...fullKey };
  const key: ApiKey = { id: newKeyId(), userId: user.id, name: 'laptop', prefix: 'csn', ...rest };
  await store.insertUser(user);
  await store.findUser(user.id);
  await store.findUserByName(user.name);
  await store.liveRole(user.id, now);
  await store.insertKey(key, 'a');
  await store.insertKey({ ...key, id: newKeyId() }, 'b');
  await store.findKeyByHash('a');
  await store.findKey(key.id);
  await store.listKeys(user.id);
  await store.listKeys(null);
  await store.listLiveKeyIds(user.id);
  await store.touchKey(key.id, now);
  await store.revokeKey(key.id, now);
  await store.listUsers();
  await store.putInvitation({ userId: user.id, isReset: false, createdAt: now, expiresAt: now + 1 }, 'c');
  await store.listInvitations();
  await store.acceptInvitation('c', now, () => ({ key: { ...key, id: newKeyId() }, secretHash: 'd' }));
  const another: User = { ...user, id: newUserId(), name: 'eve' };
  await store.insertUser(another);
  await store.insertKey({ ...key, id: newKeyId(), userId: another.id }, 'e');
  await store.disableUser(another.id, now);
  await store.enableUser(another.id);
  await store.deleteUser(another.id);
}

async function useShareStore(store: ShareStore, agents: AgentStore, identities: IdentityStore): Promise<void> {
  const agent = anAgent();
  await agents.transaction((tx) => tx.insertAgent(agent));
  const userId = newUserId();
  await identities.insertUser({ id: userId, name: 'mia', role: 'member', createdAt: now, disabledAt: null });
  const share: Share = { agentId: agent.id, userId, role: 'viewer', createdBy: agent.ownerId, createdAt: now };
  await store.putShare(share, 10);
  await store.putShare({ ...share, role: 'editor' }, 10);
  await store.findShare(agent.id, userId);
  await store.listShares(agent.id);
  await store.removeShare(agent.id, userId);
}

async function useLedgerStore(
  store: LedgerStore,
  inTransaction: (tx: LedgerTransaction) => LedgerTransaction,
): Promise<void> {
  const account = userAccount(newUserId());
  const id = newReservationId();
  await store.boundExpiries(now);
  await store.transaction(async (bare) => {
    const tx = inTransaction(bare);
    const charges = (['tokens', 'cost'] as const).map((dimension) => ({ account, dimension, amount: 1 }));
    await tx.readAccounts(charges, now);
    await tx.addUse(
      charges.map((charge) => ({ ...charge, resetsAt: now, agentId: null })),
      now,
    );
    await tx.insertReservation(id, charges, { expiresAt: now, lifetimeMs: 1 });
    await tx.removeReservation(id, { entries: charges, now });
  });
  await store.readAccount(account, 'tokens', now);
  await store.removeExpired(now);
}

async function useQuotaStore(store: QuotaStore): Promise<void> {
  const account = userAccount(newUserId());
  const plan = { name: 'team', limits: {}, version: 0 };
  await store.savePlan(plan);
  await store.savePlan({ ...plan, version: 1 });
  await store.findPlan(plan.name);
  await store.listPlans();
  await store.savePolicy(account, unsaid, null);
  await store.savePolicy(account, { ...unsaid, version: 1 }, null);
  await store.findPolicy(account);
  await store.removePlan(plan.name, 2);
}

async function useAuditStore(store: AuditStore): Promise<void> {
  const call = aCall();
  const record = { ...call, outcome: 'ok', count: 1, durationMs: 0, seq: 1, at: now } as const;
  const { userId, action } = call;
  const agentId = call.agentId ?? '';
  const opens = [{ id: 1, call, at: now }];
  await store.append(() => ({ opens, records: [seal(genesis.hash, record)], closes: [1], pruneThrough: null }));
  await store.listOpen();
  await store.head();
  await store.readLinks(0, 10);
  await store.findLastBody(action);
  await store.lastBefore(now, 10);
  await store.noteClockWatch({ at: now, ranMs: 1 });
  await store.clockWatch();
  const page = { limit: 10, cursor: null };
  for (const filter of [{}, { action }, { agentId, action }, { since: 1, until: now + 1 }])
    await store.search(filter, page);
  if (userId !== null) await store.search({ userId }, page);
  const records = [seal(genesis.hash, { ...record, seq: 2 })];
  await store.append(() => ({ opens: [], records, closes: [], pruneThrough: 1 }));
}

/** Asked once a minute, or once in a process, of a table that has no more rows than calls are under way. */
const sweeps = [
  'delete from "quota_reservations" where "expires_at" <= ?',
  'update "quota_reservations" set "expires_at" = ? + "lifetime_ms" where "expires_at" > ? and "expires_at" > ? + "lifetime_ms"',
];

/**
 * Nothing is sorted. Tables are scanned only in the order of an index, by listings of everything; and what a select
 * compares with a value narrows the search in the index, rather than being looked up in each row.
 */
function isAnsweredByIndex(query: string, plan: readonly string[]): boolean {
  const scans = plan.filter(
    (step) => step.startsWith('SCAN') && !/^SCAN (CONSTANT ROW|\d+-ROW VALUES CLAUSE)$/.test(step),
  );
  if (sweeps.includes(query)) return scans.length === 1;
  const walksIndexes = scans.every((step) => / USING (COVERING )?INDEX sqlite_autoindex_/.test(step));
  const compared = query.startsWith('select') ? query.matchAll(/"(\w+)" = \?/g).map(([, column]) => `${column}=?`) : [];
  const text = plan.join('; ');
  return walksIndexes && !text.includes('TEMP B-TREE') && compared.every((comparison) => text.includes(comparison));
}

test('every query of the stores is answered by an index', async () => {
  using directory = dataDirectory();
  const queries = new Map<string, CompiledQuery>();
  const db = await openSqlite(join(directory.path, 'caisson.db'), ({ query }) => queries.set(query.sql, query));
  queries.clear(); // those of the migration
  const access = new StorageAccess(db);
  const [agents, identities] = [createAgentStore(access), createIdentityStore(access)];
  const [ledger, quotas] = [createLedgerStore(access), createQuotaStore(access)];
  const called = {
    agents: new Set<string>(),
    transaction: new Set<string>(),
    identities: new Set<string>(),
    shares: new Set<string>(),
    ledger: new Set<string>(),
    ledgerTransaction: new Set<string>(),
    quotas: new Set<string>(),
    audit: new Set<string>(),
  };
  let transactionMethods: readonly string[] = [];
  let ledgerMethods: readonly string[] = [];
  await useAgentStore(watched(agents, called.agents), (tx) => {
    transactionMethods = Object.keys(tx);
    return watched(tx, called.transaction);
  });
  await useIdentityStore(watched(identities, called.identities));
  const shares = createShareStore(access);
  await useShareStore(watched(shares, called.shares), agents, identities);
  await useLedgerStore(watched(ledger, called.ledger), (tx) => {
    ledgerMethods = Object.keys(tx);
    return watched(tx, called.ledgerTransaction);
  });
  await useQuotaStore(watched(quotas, called.quotas));
  const audit = createAuditStore(access);
  await useAuditStore(watched(audit, called.audit));
  expect([...called.audit].toSorted()).toEqual(Object.keys(audit).toSorted());
  expect([...called.agents].toSorted()).toEqual(Object.keys(agents).toSorted());
  expect([...called.transaction].toSorted()).toEqual(transactionMethods.toSorted());
  expect([...called.identities].toSorted()).toEqual(Object.keys(identities).toSorted());
  expect([...called.ledger].toSorted()).toEqual(Object.keys(ledger).toSorted());
  expect([...called.ledgerTransaction].toSorted()).toEqual(ledgerMethods.toSorted());
  expect([...called.quotas].toSorted()).toEqual(Object.keys(quotas).toSorted());
  expect([...called.shares].toSorted()).toEqual(Object.keys(shares).toSorted());

  const asked = [...queries.values()];
  const slow: string[] = [];
  for (const query of asked) {
    const { rows } = await db.executeQuery<{ detail: string }>(
      CompiledQuery.raw(`explain query plan ${query.sql}`, [...query.parameters]),
    );
    const plan = rows.map(({ detail }) => detail);
    if (!isAnsweredByIndex(query.sql, plan)) slow.push(`${query.sql} → ${plan.join('; ')}`);
  }
  expect(slow).toEqual([]);
  await db.destroy();
});
