import type { AgentStore, AgentTransaction } from '../../agents/ports.ts';
import { agentTransaction } from './agent-transaction.ts';
import * as agents from './agents.ts';
import * as conversations from './conversations.ts';
import * as events from './events.ts';
import * as journal from './journal.ts';
import * as messages from './messages.ts';
import * as permissions from './permissions.ts';
import * as runs from './runs.ts';
import * as sessionOffers from './session-offers.ts';
import type { StorageAccess } from './storage-access.ts';

export function createAgentStore(access: StorageAccess): AgentStore {
  return {
    transaction: async <T>(work: (tx: AgentTransaction) => Promise<T>) =>
      await access.transaction(async (tx) => await work(agentTransaction(tx))),
    flushed: async () => await access.flushed(),

    findAgent: async (id) => await agents.find(access.db, id),
    findAgentByName: async (ownerId, name) => await agents.findByName(access.db, ownerId, name),
    listAgents: async (filter, page) => await agents.list(access.db, filter, page),
    listOwnAgents: async (ownerId) => await agents.listOwn(access.db, ownerId),
    countAgents: async (ownerId) => await agents.count(access.db, ownerId),
    listAgentsUp: async (ownerId) => await agents.listUp(access.db, ownerId),
    countHistoryBytes: async (ownerId) => await agents.historyBytes(access.db, ownerId),
    listAgentIds: async () => await agents.listIds(access.db),

    findSessionOffer: async (agentId) => await sessionOffers.find(access.db, agentId),

    findConversation: async (id) => await conversations.find(access.db, id),
    listConversations: async (agentId, page) => await conversations.list(access.db, agentId, page),
    listMessages: async (agentId, conversationId, page) =>
      await messages.list(access.db, { agentId, conversationId }, page),
    findMessage: async (id) => await messages.find(access.db, id),
    listReply: async (runId) => await messages.listReply(access.db, runId),

    findRun: async (id) => await runs.find(access.db, id),
    listRuns: async (agentId, conversationId, page) => await runs.list(access.db, { agentId, conversationId }, page),
    listActiveRuns: async (agentId) => await runs.listActive(access.db, { agentId }),

    findPermission: async (id) => await permissions.find(access.db, id),
    listPendingPermissions: async (filter, page) => await permissions.listPending(access.db, filter, page),

    readEvents: async (agentId, after, limit) => await events.read(access.db, agentId, { after, limit }),
    eventBounds: async (agentId) => await events.bounds(access.db, agentId),
    pruneEvents: async (agentId, kept) => await events.prune(access, agentId, kept),

    journalPosition: async (agentId, incarnation) => await journal.position(access.db, agentId, incarnation),
  };
}
