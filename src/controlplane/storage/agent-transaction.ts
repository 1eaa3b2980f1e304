import type { Transaction } from 'kysely';
import type { AgentTransaction } from '../../agents/ports.ts';
import * as agents from './agents.ts';
import * as conversations from './conversations.ts';
import type { Database } from './database.ts';
import * as events from './events.ts';
import * as idempotency from './idempotency.ts';
import * as journal from './journal.ts';
import * as messages from './messages.ts';
import * as permissions from './permissions.ts';
import * as runs from './runs.ts';
import * as sessionOffers from './session-offers.ts';

export function agentTransaction(tx: Transaction<Database>): AgentTransaction {
  return {
    findAgent: async (id) => await agents.find(tx, id),
    findAgentByName: async (ownerId, name) => await agents.findByName(tx, ownerId, name),
    countAgents: async (ownerId) => await agents.count(tx, ownerId),
    listAgentsUp: async (ownerId) => await agents.listUp(tx, ownerId),
    countHistoryBytes: async (ownerId) => await agents.historyBytes(tx, ownerId),
    insertAgent: async (agent) => await agents.insert(tx, agent),
    setAgentDeleting: async (id) => await agents.setDeleting(tx, id),
    setSandboxStatus: async (id, status) => await agents.setSandbox(tx, id, status),
    nextLeaseEpoch: async (id) => await agents.nextLeaseEpoch(tx, id),
    deleteAgent: async (id) => await agents.remove(tx, id),

    findConversation: async (id) => await conversations.find(tx, id),
    insertConversation: async (conversation) => await conversations.insert(tx, conversation),
    closeConversation: async (id) => await conversations.change(tx, id, { status: 'closed' }),
    setConversationSession: async (id, sessionId) => await conversations.change(tx, id, { session_id: sessionId }),
    setConversationTitle: async (id, title) => await conversations.change(tx, id, { title }),
    setConversationChoices: async (id, { model, mode }) => await conversations.change(tx, id, { model, mode }),
    setSessionOffer: async (agentId, offer) => await sessionOffers.set(tx, agentId, offer),
    insertMessage: async (message) => await messages.insert(tx, message),
    countSaid: async (agentId, bytes) => await messages.countSaid(tx, agentId, bytes),
    spokenTo: async (agentId) => await messages.spokenTo(tx, agentId),
    findMessage: async (id) => await messages.find(tx, id),
    hasMessage: async (id) => await messages.exists(tx, id),

    findRun: async (id) => await runs.find(tx, id),
    listActiveRuns: async (filter) => await runs.listActive(tx, filter),
    insertRun: async (run) => await runs.insert(tx, run),
    moveRun: async (id, from, change) => await runs.move(tx, id, { from, change }),
    requestRunCancel: async (id) => await runs.requestCancel(tx, id),

    insertPermission: async (permission) => await permissions.insert(tx, permission),
    hasPermission: async (id) => await permissions.exists(tx, id),
    findPendingPermission: async (id) => await permissions.findPending(tx, id),
    isPermissionAwaited: async (runId) => await permissions.isAwaited(tx, runId),
    countPendingPermissions: async (agentId) => await permissions.countPending(tx, agentId),
    resolvePermission: async (id, resolution) => await permissions.resolve(tx, id, resolution),
    listPendingPermissions: async (agentId) => await permissions.listPendingOf(tx, agentId),

    findIdempotent: async (scope) => await idempotency.find(tx, scope),
    insertIdempotent: async (scope, request) => await idempotency.insert(tx, scope, request),

    appendEvents: async (agentId, drafts) => await events.append(tx, agentId, drafts),

    journalPosition: async (agentId, incarnation) => await journal.position(tx, agentId, incarnation),
    setJournalPosition: async (agentId, incarnation, seq) =>
      await journal.setPosition(tx, { agentId, incarnation }, seq),
  };
}
