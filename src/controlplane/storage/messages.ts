import type { Insertable, Kysely, Selectable, SelectQueryBuilder } from 'kysely';
import type { Message } from '../../agents/agent.ts';
import type { Page, PageRequest } from '../../agents/ports.ts';
import type { AgentId, ConversationId, MessageId, RunId } from '../../kernel/ids.ts';
import { compiledQuery } from './compiled-query.ts';
import * as conversations from './conversations.ts';
import type { Database, MessagesTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';
import { bytesOf, cursorAfter, fitting, startPage } from './pages.ts';

/** Messages, and bytes of their content, that one reply holds at most. */
const replyRows = 500;
const replyBytes = 2 * 1024 * 1024;

const byId = compiledQuery<{ id: MessageId }, Selectable<MessagesTable>>((db, value) =>
  db.selectFrom('messages').selectAll().where('id', '=', value('id')),
);
const idOf = compiledQuery<{ id: MessageId }, { readonly id: MessageId }>((db, value) =>
  db.selectFrom('messages').select('id').where('id', '=', value('id')),
);
const insertOne = compiledQuery<Omit<Insertable<MessagesTable>, 'ordinal'>, unknown>((db, value) =>
  db.insertInto('messages').values({
    id: value('id'),
    ordinal: nextOrdinal('messages'),
    agent_id: value('agent_id'),
    conversation_id: value('conversation_id'),
    run_id: value('run_id'),
    role: value('role'),
    sender_id: value('sender_id'),
    content: value('content'),
    created_at: value('created_at'),
  }),
);

const countBytes = compiledQuery<{ id: AgentId; bytes: number }, unknown>((db, value) =>
  db
    .updateTable('agents')
    .set((eb) => ({ history_bytes: eb('history_bytes', '+', value('bytes')) }))
    .where('id', '=', value('id')),
);
const resetSaid = compiledQuery<{ id: AgentId }, unknown>((db, value) =>
  db.updateTable('agents').set({ said_bytes: 0 }).where('id', '=', value('id')),
);
const addSaid = compiledQuery<{ id: AgentId; bytes: number }, { readonly said_bytes: number }>((db, value) =>
  db
    .updateTable('agents')
    .set((eb) => ({ said_bytes: eb('said_bytes', '+', value('bytes')) }))
    .where('id', '=', value('id'))
    .returning('said_bytes'),
);

export async function find(db: Kysely<Database>, id: MessageId): Promise<Message | undefined> {
  const [row] = await byId(db, { id });
  return row && toMessage(row);
}

export async function exists(db: Kysely<Database>, id: MessageId): Promise<boolean> {
  return (await idOf(db, { id })).length > 0;
}

export async function list(
  db: Kysely<Database>,
  of: { readonly agentId: AgentId; readonly conversationId: ConversationId | null },
  page: PageRequest,
): Promise<Page<Message>> {
  const start = startPage('messages', page);
  const all = db.selectFrom('messages').where('agent_id', '=', of.agentId);
  const wanted = of.conversationId === null ? all : all.where('conversation_id', '=', of.conversationId);
  const sized = await wanted
    .select(['ordinal', bytesOf('content').as('size')])
    .where('ordinal', '<', start.before)
    .orderBy('ordinal', 'desc')
    .limit(start.rows)
    .execute();
  const shown = fitting(sized, start.rows - 1);
  const items = await read(wanted.selectAll(), shown);
  return { items, nextCursor: cursorAfter('messages', shown, sized) };
}

/** See `AgentStore.listReply`. */
export async function listReply(
  db: Kysely<Database>,
  runId: RunId,
): Promise<{ readonly messages: readonly Message[]; readonly isCut: boolean }> {
  const ofRun = db.selectFrom('messages').where('run_id', '=', runId);
  const sized = await ofRun
    .select(['ordinal', 'role', bytesOf('content').as('size')])
    .orderBy('ordinal', 'desc')
    .limit(replyRows + 1)
    .execute();
  // What began the run is its oldest message, and not a part of the reply.
  const said = sized.at(-1)?.role === 'user' ? sized.slice(0, -1) : sized;
  const shown = fitting(said, replyRows, replyBytes);
  return { messages: await read(ofRun.selectAll(), shown), isCut: shown.length < said.length };
}

/** The rows that `shown` tells of, oldest first: what was added since it was read stays out. */
async function read(
  query: SelectQueryBuilder<Database, 'messages', Selectable<MessagesTable>>,
  shown: readonly { readonly ordinal: number }[],
): Promise<readonly Message[]> {
  const [newest] = shown;
  if (newest === undefined) return [];
  const rows = await query
    .where('ordinal', '<=', newest.ordinal)
    .orderBy('ordinal', 'desc')
    .limit(shown.length)
    .execute();
  return rows.toReversed().map(toMessage);
}

/** See `AgentTransaction.countSaid`. */
export async function countSaid(db: Kysely<Database>, id: AgentId, bytes: number): Promise<number> {
  const [agent] = await addSaid(db, { id, bytes });
  return agent?.said_bytes ?? 0;
}

/** See `AgentTransaction.spokenTo`. */
export async function spokenTo(db: Kysely<Database>, id: AgentId): Promise<void> {
  await resetSaid(db, { id });
}

/** The conversation is updated with it, and the agent counts its bytes. */
export async function insert(db: Kysely<Database>, message: Message): Promise<void> {
  await conversations.touch(db, message.conversationId, message.createdAt);
  const content = toJson(message.content);
  await countBytes(db, { id: message.agentId, bytes: Buffer.byteLength(content) });
  await insertOne(db, {
    id: message.id,
    agent_id: message.agentId,
    conversation_id: message.conversationId,
    run_id: message.runId,
    role: message.role,
    sender_id: message.senderId,
    content,
    created_at: message.createdAt,
  });
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
