import type { Kysely, Selectable } from 'kysely';
import type { Conversation } from '../../agents/agent.ts';
import type { Page, PageRequest } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, ConversationId } from '../../kernel/ids.ts';
import { compiledQuery } from './compiled-query.ts';
import type { ConversationsTable, Database } from './database.ts';
import { nextOrdinal } from './ordinals.ts';
import { startPage, toPage } from './pages.ts';

const byId = compiledQuery<{ id: ConversationId }, Selectable<ConversationsTable>>((db, value) =>
  db.selectFrom('conversations').selectAll().where('id', '=', value('id')),
);

const setUpdated = compiledQuery<{ id: ConversationId; at: number }, { readonly id: ConversationId }>((db, value) =>
  db
    .updateTable('conversations')
    .set({ updated_at: value('at') })
    .where('id', '=', value('id'))
    .returning('id'),
);

export async function find(db: Kysely<Database>, id: ConversationId): Promise<Conversation | undefined> {
  const [row] = await byId(db, { id });
  return row && toConversation(row);
}

export async function list(db: Kysely<Database>, agentId: AgentId, page: PageRequest): Promise<Page<Conversation>> {
  const start = startPage('conversations', page);
  const rows = await db
    .selectFrom('conversations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('ordinal', '<', start.before)
    .orderBy('ordinal', 'desc')
    .limit(start.rows)
    .execute();
  return toPage('conversations', start, rows, toConversation);
}

export async function insert(db: Kysely<Database>, conversation: Conversation): Promise<void> {
  await db
    .insertInto('conversations')
    .values({
      id: conversation.id,
      ordinal: nextOrdinal('conversations'),
      agent_id: conversation.agentId,
      title: conversation.title,
      status: conversation.status,
      model: conversation.model,
      mode: conversation.mode,
      session_id: conversation.sessionId,
      created_at: conversation.createdAt,
      updated_at: conversation.updatedAt,
    })
    .execute();
}

/** Something was said in it. */
export async function touch(db: Kysely<Database>, id: ConversationId, at: number): Promise<void> {
  if ((await setUpdated(db, { id, at })).length === 0) throw conversationNotFound(id);
}

/** Writes some columns of a conversation that must be there. */
export async function change(
  db: Kysely<Database>,
  id: ConversationId,
  columns: Partial<Pick<ConversationsTable, 'title' | 'status' | 'model' | 'mode' | 'session_id'>>,
): Promise<void> {
  const result = await db.updateTable('conversations').set(columns).where('id', '=', id).executeTakeFirst();
  if (result.numUpdatedRows === 0n) throw conversationNotFound(id);
}

function conversationNotFound(id: ConversationId): CaissonError {
  return new CaissonError('CONVERSATION_NOT_FOUND', `There is no conversation ${id}.`);
}

function toConversation(row: Selectable<ConversationsTable>): Conversation {
  return {
    id: row.id,
    agentId: row.agent_id,
    title: row.title,
    status: row.status,
    model: row.model,
    mode: row.mode,
    sessionId: row.session_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
