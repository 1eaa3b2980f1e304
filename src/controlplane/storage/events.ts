import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Insertable, Kysely, Selectable } from 'kysely';
import type { AgentEvent, EventDraft } from '../../agents/event.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { agentNotFound } from './agents.ts';
import { compiledQuery, compiledRowsQuery } from './compiled-query.ts';
import type { Database, EventsTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { bytesOf, fitting } from './pages.ts';

const rowsPerDelete = 256;

const advance = compiledQuery<{ agentId: AgentId; by: number }, { readonly head_seq: number }>((db, value) =>
  db
    .updateTable('agents')
    .set((eb) => ({ head_seq: eb('head_seq', '+', value('by')) }))
    .where('id', '=', value('agentId'))
    .returning('head_seq'),
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
): Promise<readonly AgentEvent[]> {
  if (drafts.length === 0) return [];
  const [agent] = await advance(db, { agentId, by: drafts.length });
  if (agent === undefined) throw agentNotFound(agentId);
  const before = agent.head_seq - drafts.length;
  const events = drafts.map(({ conversationId, runId, at, data }, index) => ({
    event: { seq: before + 1 + index, agentId, conversationId, runId, at, ...data },
    row: {
      agent_id: agentId,
      seq: before + 1 + index,
      conversation_id: conversationId,
      run_id: runId,
      at,
      data: toJson(data),
    },
  }));
  await insertAll(
    db,
    events.map(({ row }) => row),
  );
  return events.map(({ event }) => event);
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
export async function prune(db: Kysely<Database>, agentId: AgentId, first: number): Promise<void> {
  for (;;) {
    const sized = await db
      .selectFrom('events')
      .select(['seq', bytesOf('data').as('size')])
      .where('agent_id', '=', agentId)
      .where('seq', '<', first)
      .orderBy('seq')
      .limit(rowsPerDelete)
      .execute();
    const last = fitting(sized, rowsPerDelete).at(-1);
    if (last === undefined) return;
    await db.deleteFrom('events').where('agent_id', '=', agentId).where('seq', '<=', last.seq).execute();
    await nextTurn();
  }
}

function toEvent(agentId: AgentId, row: Omit<Selectable<EventsTable>, 'agent_id'>): AgentEvent {
  const { seq, conversation_id: conversationId, run_id: runId, at } = row;
  return { seq, agentId, conversationId, runId, at, ...fromJson(row.data) };
}
