import type { Kysely } from 'kysely';
import type { RunState } from '../../agents/run.ts';
import type { AgentId, ConversationId, RunId, UserId } from '../../kernel/ids.ts';
import type { ModelCallers } from '../model-gateway/callers.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database } from './database.ts';
import type { StorageAccess } from './storage-access.ts';

/** An agent's owner, beside one of its active runs; null where it has none. */
interface OwnerAndRun {
  readonly owner_id: UserId;
  readonly owner_name: string;
  readonly run_id: RunId | null;
  readonly conversation_id: ConversationId | null;
  readonly session_id: string | null;
  readonly state: RunState | null;
}

/** One statement: every model call waits for it. */
const ownerAndRunsOf = compiledQuery<{ agentId: AgentId }, OwnerAndRun>((db, value) =>
  db
    .selectFrom('agents')
    .innerJoin('users', 'users.id', 'agents.owner_id')
    .leftJoin('runs', (join) => join.onRef('runs.agent_id', '=', 'agents.id').on('runs.active', '=', 1))
    .leftJoin('conversations', 'conversations.id', 'runs.conversation_id')
    .select([
      'users.id as owner_id',
      'users.name as owner_name',
      'runs.id as run_id',
      'runs.conversation_id',
      'runs.state',
      'conversations.session_id',
    ])
    .where('agents.id', '=', value('agentId'))
    .where('agents.deleting', '=', 0),
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
      const rows = await ownerAndRunsOf(access.db, { agentId });
      const [owner] = rows;
      if (owner === undefined) return undefined;
      const place = await placeOf(access.db, { agentId, sessionIds, rows });
      return { userId: owner.owner_id, userName: owner.owner_name, agentId, ...place };
    },
  };
}

async function placeOf(
  db: Kysely<Database>,
  call: {
    readonly agentId: AgentId;
    readonly sessionIds: readonly string[];
    readonly rows: readonly OwnerAndRun[];
  },
): Promise<{ readonly conversationId: ConversationId | null; readonly runId: RunId | null }> {
  const { agentId } = call;
  const runs = call.rows.filter(({ state }) => state !== null && state !== 'queued');
  for (const sessionId of call.sessionIds) {
    const run = runs.find((each) => each.session_id === sessionId);
    if (run !== undefined) return { conversationId: run.conversation_id, runId: run.run_id };
    const [conversation] = await conversationOf(db, { agentId, sessionId });
    if (conversation !== undefined) return { conversationId: conversation.id, runId: null };
  }
  const [only, another] = runs;
  if (only === undefined || another !== undefined) return { conversationId: null, runId: null };
  return { conversationId: only.conversation_id, runId: only.run_id };
}
