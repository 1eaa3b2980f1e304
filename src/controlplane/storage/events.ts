import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Insertable, Kysely, Selectable } from 'kysely';
import type { AgentEvent, EventDraft } from '../../agents/event.ts';
import type { AppendedEvents, EventRetention } from '../../agents/ports.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { agentNotFound } from './agents.ts';
import { compiledQuery, compiledRowsQuery } from './compiled-query.ts';
import type { Database, EventsTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { bytesOf, fitting } from './pages.ts';
import type { StorageAccess } from './storage-access.ts';

const rowsPerDelete = 256;

const advance = compiledQuery<
  { agentId: AgentId; by: number; bytes: number },
  { readonly head_seq: number; readonly event_bytes: number }
>((db, value) =>
  db
    .updateTable('agents')
    .set((eb) => ({
      head_seq: eb('head_seq', '+', value('by')),
      event_bytes: eb('event_bytes', '+', value('bytes')),
    }))
    .where('id', '=', value('agentId'))
    .returning(['head_seq', 'event_bytes']),
);

const insertAll = compiledRowsQuery<Insertable<EventsTable>, unknown>((db, rows) =>
  db.insertInto('events').values(
    rows.map((value) => ({
      agent_id: value('agent_id'),
      seq: value('seq'),
      conversation_id: value('conversation_id'),
      run_id: value('run_id'),
      at: value('at'),
      data: value('data'),
    })),
  ),
);

export async function append(
  db: Kysely<Database>,
  agentId: AgentId,
  drafts: readonly EventDraft[],
): Promise<AppendedEvents> {
  if (drafts.length === 0) return { events: [], storedBytes: 0 };
  const encoded = drafts.map(({ data, ...draft }) => ({ draft, data, text: toJson(data) }));
  const bytes = encoded.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  const [agent] = await advance(db, { agentId, by: drafts.length, bytes });
  if (agent === undefined) throw agentNotFound(agentId);
  const first = agent.head_seq - drafts.length + 1;
  await insertAll(
    db,
    encoded.map(({ draft, text }, index) => ({
      agent_id: agentId,
      seq: first + index,
      conversation_id: draft.conversationId,
      run_id: draft.runId,
      at: draft.at,
      data: text,
    })),
  );
  return {
    events: encoded.map(({ draft, data }, index) => ({ seq: first + index, agentId, ...draft, ...data })),
    storedBytes: agent.event_bytes,
  };
}

export async function read(
  db: Kysely<Database>,
  agentId: AgentId,
  range: { readonly after: number; readonly limit: number },
): Promise<readonly AgentEvent[]> {
  const wanted = db
    .selectFrom('events')
    .where('agent_id', '=', agentId)
    .where('seq', '>', range.after)
    .orderBy('seq')
    .limit(range.limit);
  const sized = await wanted.select(['seq', bytesOf('data').as('size')]).execute();
  const last = fitting(sized, range.limit).at(-1);
  if (last === undefined) return [];
  const rows = await wanted
    .select(['seq', 'conversation_id', 'run_id', 'at', 'data'])
    .where('seq', '<=', last.seq)
    .execute();
  return rows.map((row) => toEvent(agentId, row));
}

export async function bounds(
  db: Kysely<Database>,
  agentId: AgentId,
): Promise<{ readonly first: number; readonly last: number }> {
  const row = await db
    .selectFrom('agents')
    .select((eb) => [
      'head_seq',
      eb.selectFrom('events').select('seq').where('agent_id', '=', agentId).orderBy('seq').limit(1).as('first'),
    ])
    .where('id', '=', agentId)
    .executeTakeFirst();
  const last = row?.head_seq ?? 0;
  return { first: row?.first ?? last + 1, last };
}

/** In small steps: large rows take their time, and everyone else waits while one is deleted. */
export async function prune(access: StorageAccess, agentId: AgentId, kept: EventRetention): Promise<void> {
  while (await access.transaction(async (tx) => await pruneSome(tx, agentId, kept))) await nextTurn();
}

/** Whether there may be more. */
async function pruneSome(db: Kysely<Database>, agentId: AgentId, kept: EventRetention): Promise<boolean> {
  const agent = await db
    .selectFrom('agents')
    .select(['head_seq', 'event_bytes'])
    .where('id', '=', agentId)
    .executeTakeFirst();
  if (agent === undefined) return false;
  const oldest = await db
    .selectFrom('events')
    .select(['seq', bytesOf('data').as('size')])
    .where('agent_id', '=', agentId)
    .orderBy('seq')
    .limit(rowsPerDelete)
    .execute();
  let bytes = 0;
  let last: number | undefined;
  for (const { seq, size } of fitting(oldest, rowsPerDelete)) {
    if (seq > agent.head_seq - kept.events && agent.event_bytes - bytes <= kept.bytes) break;
    bytes += size;
    last = seq;
  }
  if (last === undefined) return false;
  await db.deleteFrom('events').where('agent_id', '=', agentId).where('seq', '<=', last).execute();
  await db
    .updateTable('agents')
    .set((eb) => ({ event_bytes: eb('event_bytes', '-', bytes) }))
    .where('id', '=', agentId)
    .execute();
  return true;
}

function toEvent(agentId: AgentId, row: Omit<Selectable<EventsTable>, 'agent_id'>): AgentEvent {
  const { seq, conversation_id: conversationId, run_id: runId, at } = row;
  return { seq, agentId, conversationId, runId, at, ...fromJson(row.data) };
}
