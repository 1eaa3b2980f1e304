import type { Kysely, Selectable } from 'kysely';
import type { Message } from '../../agents/agent.ts';
import type { Page, PageRequest } from '../../agents/ports.ts';
import type { AgentId, ConversationId, MessageId, RunId } from '../../kernel/ids.ts';
import * as conversations from './conversations.ts';
import type { Database, MessagesTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';
import { startPage, toPage } from './pages.ts';

export async function find(db: Kysely<Database>, id: MessageId): Promise<Message | undefined> {
  const row = await db.selectFrom('messages').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toMessage(row);
}

export async function list(
  db: Kysely<Database>,
  of: { readonly agentId: AgentId; readonly conversationId: ConversationId | null },
  page: PageRequest,
): Promise<Page<Message>> {
  const start = startPage('messages', page);
  const all = db
    .selectFrom('messages')
    .selectAll()
    .where('agent_id', '=', of.agentId)
    .where('ordinal', '<', start.before);
  const wanted = of.conversationId === null ? all : all.where('conversation_id', '=', of.conversationId);
  const rows = await wanted.orderBy('ordinal', 'desc').limit(start.rows).execute();
  const { items, nextCursor } = toPage('messages', start, rows, toMessage);
  return { items: items.toReversed(), nextCursor };
}

export async function listOfRun(db: Kysely<Database>, runId: RunId): Promise<readonly Message[]> {
  const rows = await db.selectFrom('messages').selectAll().where('run_id', '=', runId).orderBy('ordinal').execute();
  return rows.map(toMessage);
}

/** The conversation is updated with it. */
export async function insert(db: Kysely<Database>, message: Message): Promise<void> {
  await conversations.change(db, message.conversationId, { updated_at: message.createdAt });
  await db
    .insertInto('messages')
    .values({
      id: message.id,
      ordinal: nextOrdinal('messages'),
      agent_id: message.agentId,
      conversation_id: message.conversationId,
      run_id: message.runId,
      role: message.role,
      sender_id: message.senderId,
      content: toJson(message.content),
      created_at: message.createdAt,
    })
    .execute();
}

function toMessage(row: Selectable<MessagesTable>): Message {
  return {
    id: row.id,
    agentId: row.agent_id,
    conversationId: row.conversation_id,
    runId: row.run_id,
    role: row.role,
    senderId: row.sender_id,
    content: fromJson(row.content),
    createdAt: row.created_at,
  };
}
