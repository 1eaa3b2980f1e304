import type { Kysely } from 'kysely';
import type { RunState } from '../../agents/run.ts';
import type { AgentId, ConversationId, RunId, UserId } from '../../kernel/ids.ts';
import type { ModelCallers } from '../model-gateway/callers.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database } from './database.ts';
import type { StorageAccess } from './storage-access.ts';

interface Run {
  readonly id: RunId;
  readonly conversation_id: ConversationId;
  readonly session_id: string | null;
  readonly state: RunState;
}

const ownerOf = compiledQuery<{ agentId: AgentId }, { readonly id: UserId; readonly name: string }>((db, value) =>
  db
    .selectFrom('agents')
    .innerJoin('users', 'users.id', 'agents.owner_id')
    .select(['users.id', 'users.name'])
    .where('agents.id', '=', value('agentId'))
    .where('agents.deleting', '=', 0),
);
const activeRunsOf = compiledQuery<{ agentId: AgentId }, Run>((db, value) =>
  db
    .selectFrom('runs')
    .innerJoin('conversations', 'conversations.id', 'runs.conversation_id')
    .select(['runs.id', 'runs.conversation_id', 'runs.state', 'conversations.session_id'])
    .where('runs.agent_id', '=', value('agentId'))
    .where('runs.active', '=', 1),
);
const conversationOf = compiledQuery<{ agentId: AgentId; sessionId: string }, { readonly id: ConversationId }>(
  (db, value) =>
    db
      .selectFrom('conversations')
      .select('id')
      .where('agent_id', '=', value('agentId'))
      .where('session_id', '=', value('sessionId')),
);

/** See `ModelCallers`. */
export function createModelCallers(access: StorageAccess): ModelCallers {
  return {
    async find(agentId, sessionIds) {
      const [owner] = await ownerOf(access.db, { agentId });
      if (owner === undefined) return undefined;
      const place = await placeOf(access.db, agentId, sessionIds);
      return { userId: owner.id, userName: owner.name, agentId, ...place };
    },
  };
}

async function placeOf(
  db: Kysely<Database>,
  agentId: AgentId,
  sessionIds: readonly string[],
): Promise<{ readonly conversationId: ConversationId | null; readonly runId: RunId | null }> {
  const runs = (await activeRunsOf(db, { agentId })).filter(({ state }) => state !== 'queued');
  for (const sessionId of sessionIds) {
    const run = runs.find((each) => each.session_id === sessionId);
    if (run !== undefined) return { conversationId: run.conversation_id, runId: run.id };
    const [conversation] = await conversationOf(db, { agentId, sessionId });
    if (conversation !== undefined) return { conversationId: conversation.id, runId: null };
  }
  const [only, another] = runs;
  if (only === undefined || another !== undefined) return { conversationId: null, runId: null };
  return { conversationId: only.conversation_id, runId: only.id };
}
